/* SPDX-License-Identifier: MIT
 *
 * config_litellm.c - keys that LiteLLM's proxy documents and penstock does not act on.
 *
 * They give a warning, not an error, so that an existing config.yaml works as it is.
 * Source: LiteLLM's public documentation, "All settings" and its router and model parameters.
 */
#include "gateway/config_internal.h"

const char *const config_ignored_top[] = {
    "agent_list", "assistant_settings", "callback_settings", "credential_list", "files_settings",
    "finetune_settings", "guardrails", "include", "mcp_servers",
    "mcp_tools", "policies", "policy_attachments", "prompts", "search_tools",
    "vector_store_registry", "cost_discount_config", NULL};

const char *const config_ignored_params[] = {
    "adaptive_router_config", "adaptive_router_default_model", "allow_client_keepalive_override",
    "allowed_openai_params", "auto_router_config", "auto_router_config_path",
    "auto_router_default_model", "auto_router_embedding_model", "aws_access_key_id",
    "aws_bedrock_runtime_endpoint", "aws_external_id", "aws_profile_name", "aws_region_name",
    "aws_role_name", "aws_secret_access_key", "aws_session_name", "aws_session_token",
    "aws_sts_endpoint", "aws_web_identity_token", "azure_ad_token_provider",
    "azure_password", "azure_scope", "azure_username", "base_model", "bucket_name",
    "budget_duration", "cache", "cache_control_injection_points", "caching", "client_id",
    "client_secret", "complexity_router_config", "complexity_router_default_model",
    "configurable_clientside_auth_params", "context_window_fallback_dict", "cooldown_time",
    "default_api_key_rpm_limit", "default_api_key_tpm_limit", "default_headers", "fallbacks",
    "force_timeout", "gcs_bucket_name", "hf_model_name", "initial_prompt_value", "itpm",
    "keepalive_seconds", "litellm_credential_name", "litellm_trace_id", "logger_fn", "max_budget",
    "max_file_size_mb", "merge_reasoning_content_in_choices", "mock_response", "model_config",
    "model_info", "no-log", "otpm", "preset_cache_key", "prompt_id", "provider_affinity_header",
    "quality_router_config", "quality_router_default_model", "region_name", "roles",
    "s3_bucket_name", "ssl_verify", "supports_system_message", "system_prompt", "tag_regex",
    "tenant_id", "text_completion", "use_chat_completions_api", "use_in_pass_through",
    "use_litellm_proxy", "vector_store_id", "verbose", 
    
    "watsonx_region_name", NULL};

const char *const config_ignored_litellm[] = {
    "add_function_to_prompt", "allowed_fails_policy", "api_base", "api_key", "audit_log_callbacks",
    "blocked_user_list", "budget_duration", "cache", "cache_params", "callbacks",
    "content_policy_fallbacks", "cost_margin_config", "custom_prometheus_metadata_labels",
    "custom_provider_map", "datadog_params", "default_in_memory_ttl",
    "default_internal_user_params", "default_max_internal_user_budget", "default_redis_ttl",
    "default_team_params", "default_team_settings", "disable_add_transform_inline_image_block",
    "disable_copilot_system_to_assistant", "disable_end_user_cost_tracking",
    "disable_end_user_cost_tracking_prometheus_only", "disable_hf_tokenizer_download",
    "disable_stop_sequence_limit", "enable_azure_ad_token_refresh", "enable_json_schema_validation",
    "enable_key_alias_format_validation", "enable_preview_features", "enforced_params",
    "extra_spend_tag_headers", "failure_callback", "force_ipv4",
    "forward_traceparent_to_llm_provider", "google_moderation_confidence_threshold", "guardrails",
    "headers", "include_cost_in_streaming_usage", "internal_user_budget_duration", "json_logs",
    "key_generation_settings", "langfuse_default_tags", "langsmith_batch_size",
    "llamaguard_mode", "LITELLM_DISABLE_STOP_SEQUENCE_LIMIT", "log_raw_request_response",
    "max_budget", "max_end_user_budget", "max_internal_user_budget", "max_parallel_requests",
    "max_ui_session_budget", "max_user_budget", "mcp_aliases", "model_alias_map", "num_retries_per_request", "num_workers", "openai_moderations_model_name", "post_call_rules",
    "pre_call_rules", "presidio_ad_hoc_recognizers", "priority_reservation",
    "prometheus_initialize_budget_metrics", "prometheus_metrics_config", "public_model_groups",
    "public_model_groups_links", "redact_messages_in_exceptions", "redact_user_api_key_info",
    "require_auth_for_metrics_endpoint", "return_response_headers", "s3_callback_params",
    "service_callback", "service_callbacks", "ssl_certificate", "ssl_security_level", "ssl_verify",
    "store_audit_logs", "success_callback", "suppress_debug_info", "token", "turn_off_message_logging",
    "ui_theme_config", "upperbound_key_generate_params", "use_aiohttp_transport",
    "use_chat_completions_url_for_anthropic_messages", "use_litellm_proxy", "vector_store_registry", NULL};

const char *const config_ignored_router[] = {
    "alerting_config", "allowed_fails_policy", "assistants_config", "cache_kwargs",
    "cache_responses", "caching_groups", "client_ttl", "content_policy_fallbacks", "debug_level",
    "default_litellm_params", "default_max_parallel_requests", "default_priority",
    "deployment_affinity_ttl_seconds", "disable_cooldowns", "enable_pre_call_check",
    "enable_tag_filtering", "guardrail_list", "max_fallbacks", "max_retries",
    "model_group_affinity_config", "model_group_retry_policy", "optional_pre_call_checks",
    "polling_interval", "provider_budget_config", "redis_db", "redis_host", "redis_password",
    "redis_port", "redis_url", "retry_policy", "router_general_settings", "routing_groups",
    "routing_strategy_args", "search_tools", "tag_filtering_match_any", "tag_routing_prefix",
    "weights", NULL};

const char *const config_ignored_general[] = {
    "admin_only_routes", "alert_to_webhook_url", "alert_types", "alerting", "alerting_args",
    "alerting_threshold", "allow_client_side_credentials", "allow_requests_on_db_unavailable",
    "allow_user_auth", "allowed_ips", "allowed_routes", "always_include_stream_usage",
    "background_health_checks", "completion_model", "custom_auth",
    "custom_key_generate", "custom_sso", "custom_ui_sso_sign_in_handler", "database_args",
    "database_connection_pool_limit", "database_connection_timeout", "database_type",
    "database_url", "default_team_disabled", "disable_adding_master_key_hash_to_db",
    "disable_master_key_return", "disable_prisma_schema_update", "disable_reset_budget",
    "disable_responses_id_security", "disable_retry_on_max_parallel_request_limit_error",
    "disable_spend_logs", "disable_spend_updates", "embedding_model", "enable_jwt_auth",
    "enable_oauth2_auth", "enable_oauth2_proxy_auth", "enforce_user_param", "enforced_params",
    "forward_client_headers_to_llm_api", "forward_openai_org_id", "global_max_parallel_requests",
    "health_check_concurrency", "health_check_details", "health_check_interval",
    "image_generation_model", "infer_model_from_keys", "key_management_settings",
    "key_management_system", "litellm_jwtauth", "litellm_key_header_name", "litellm_license",
    "max_parallel_requests", "maximum_spend_logs_cleanup_cron",
    "maximum_spend_logs_retention_interval", "maximum_spend_logs_retention_period",
    "mcp_internal_ip_ranges", "moderation_model", "oauth2_config_mappings",
    "pass_through_endpoints", "proxy_batch_polling_interval", "proxy_batch_write_at",
    "proxy_budget_rescheduler_max_time", "proxy_budget_rescheduler_min_time", "public_routes",
    "reject_clientside_metadata_tags", "role_permissions", "service_account_settings",
    "spend_report_frequency", "store_model_in_db", "store_prompts_in_spend_logs",
    "supported_db_objects", "ui_access_mode", "ui_password", "ui_username",
    "use_azure_key_vault", "use_client_credentials_pass_through_routes", "use_google_kms",
    "use_redis_transaction_buffer", "use_x_forwarded_for", "user_api_key_cache_ttl",
    "user_header_name", "user_mcp_management_mode", "user_header_mappings", NULL};
