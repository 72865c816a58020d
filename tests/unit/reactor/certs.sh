#!/bin/sh
# SPDX-License-Identifier: MIT
#
# certs.sh DIRECTORY - make the certificates that the TLS tests need, good and bad.
# Needs the openssl tool. NAME.pem is a chain without its root, NAME.key its key; ca*.pem are roots.
set -eu
cd "$1"

ec_key() {
    openssl ecparam -name "${2:-prime256v1}" -genkey -noout -out "$1.key"
}

rsa_key() {
    openssl genrsa -out "$1.key" "${2:-2048}" 2>/dev/null
}

# root NAME [OPTIONS]
root() {
    name=$1
    shift
    openssl req -x509 -new -key "$name.key" -subj "/O=Test/CN=$name" -days 3650 -out "$name.pem" \
        -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" "$@"
}

# leaf NAME ISSUER EXTENSIONS [OPTIONS]: a certificate for NAME.key, issued by ISSUER
leaf() {
    name=$1 issuer=$2 extensions=$3
    shift 3
    printf '%b\n' "$extensions" >"$name.ext"
    openssl req -new -key "$name.key" -subj "/O=Test/CN=${subject:-$name}" -out "$name.csr"
    openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -CAcreateserial \
        -days 825 -extfile "$name.ext" -out "$name.pem" "$@" 2>/dev/null
}

names="subjectAltName=DNS:localhost,DNS:example.test,DNS:*.wild.test,IP:127.0.0.1,IP:::1"
serves="extendedKeyUsage=serverAuth"

ec_key ca
root ca
rsa_key ca-rsa
root ca-rsa
ec_key ca-384 secp384r1
root ca-384 -sha384

ec_key ec
leaf ec ca "$names\n$serves"
rsa_key rsa
leaf rsa ca-rsa "$names\n$serves"
ec_key deep
leaf deep ca-384 "$names" -sha384

# With an intermediate, as public hosts have it.
ec_key middle
leaf middle ca "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=serverAuth,clientAuth"
ec_key chain
leaf chain middle "$names\n$serves"
cat middle.pem >>chain.pem

# Constrained intermediates: marked critical, and not.
for constraint in strict lax; do
    critical=
    [ $constraint = lax ] || critical="critical,"
    ec_key middle-$constraint
    leaf middle-$constraint ca \
        "basicConstraints=critical,CA:TRUE\nnameConstraints=${critical}permitted;DNS:example.test"
    ec_key constrained-$constraint
    leaf constrained-$constraint middle-$constraint "$names\n$serves"
    cat middle-$constraint.pem >>constrained-$constraint.pem
done

# An intermediate for mail only, and one that is none.
ec_key middle-mail
leaf middle-mail ca "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=emailProtection"
ec_key under-mail
leaf under-mail middle-mail "$names\n$serves"
cat middle-mail.pem >>under-mail.pem
ec_key under-leaf
leaf under-leaf ec "$names\n$serves"
cat ec.pem >>under-leaf.pem

ec_key purpose-mail
leaf purpose-mail ca "$names\nextendedKeyUsage=emailProtection"
ec_key purpose-any
leaf purpose-any ca "$names\nextendedKeyUsage=anyExtendedKeyUsage"
ec_key purpose-critical
leaf purpose-critical ca "$names\nextendedKeyUsage=critical,serverAuth"
ec_key name-common
subject=example.test
leaf name-common ca "$serves"
subject=
ec_key name-other
leaf name-other ca "subjectAltName=DNS:other.test\n$serves"
ec_key self
openssl req -x509 -new -key self.key -subj "/CN=self" -days 365 -out self.pem -addext "$names" \
    -addext "basicConstraints=CA:FALSE"
rsa_key weak 1024
leaf weak ca-rsa "$names\n$serves"
rsa_key sha1
leaf sha1 ca-rsa "$names\n$serves" -sha1
openssl genpkey -algorithm ed25519 -out ed25519.key
leaf ed25519 ca "$names\n$serves"

# What the loader must cope with or refuse.
openssl pkcs8 -topk8 -nocrypt -in ec.key -out ec-pkcs8.key
openssl pkcs8 -topk8 -nocrypt -in rsa.key -out rsa-pkcs8.key
openssl rsa -in rsa.key -traditional -out rsa-pkcs1.key 2>/dev/null
openssl ecparam -name prime256v1 -out ec-params.key
cat ec.key >>ec-params.key
openssl pkcs8 -topk8 -in ec.key -passout pass:secret -out ec-encrypted.key
cat chain.pem ca.pem >whole.pem
cp chain.key whole.key
cat middle.pem >reversed.pem
openssl x509 -in chain.pem >>reversed.pem
cp chain.key reversed.key
cat ca.pem ca-rsa.pem ca-384.pem >bundle.pem
openssl x509 -in ec.pem -noout -pubkey | openssl pkey -pubin -outform DER |
    openssl dgst -sha256 -binary >ec.pin
for name in ec rsa purpose-mail middle-lax; do
    openssl x509 -in $name.pem -outform DER -out $name.der
done

# Dates of choice need the "ca" command and its little database.
dated() {
    name=$1
    ec_key "$name"
    openssl req -new -key "$name.key" -subj "/O=Test/CN=$name" -out "$name.csr"
    : >database
    openssl ca -batch -config ca.cnf -in "$name.csr" -cert ca.pem -keyfile ca.key \
        -startdate "$2" -enddate "$3" -notext -out "$name.pem" 2>/dev/null
}
cat >ca.cnf <<'CNF'
[ca]
default_ca = test
[test]
database = database
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = supplied
CNF
dated dates 19510203040506Z 20501231235959Z
openssl x509 -in dates.pem -outform DER -out dates.der
dated late 20200101000000Z 20210101000000Z
dated early 20900101000000Z 20910101000000Z
