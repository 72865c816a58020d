/* SPDX-License-Identifier: MIT
 *
 * socket.h - the socket calls of backend_ops over the kernel's sockets; what each does is said there.
 */
#ifndef PENSTOCK_SOCKET_H
#define PENSTOCK_SOCKET_H

#include "reactor/backend.h"

uint64_t socket_clock(struct loop *loop);
int socket_connect(struct loop *loop, const struct sockaddr *address, socklen_t len) must_check;
int socket_result(struct loop *loop, int fd) must_check;
ssize_t socket_receive(struct loop *loop, int fd, struct iovec *iov, int count) must_check;
ssize_t socket_send(struct loop *loop, int fd, const struct iovec *iov, int count) must_check;
void socket_half_close(struct loop *loop, int fd);
void socket_close(struct loop *loop, int fd, bool reset);
uint64_t socket_acked(struct loop *loop, int fd);
int socket_accept(struct loop *loop, int fd, char peer[64]) must_check;

#endif
