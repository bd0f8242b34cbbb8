#!/usr/bin/env bash
# io-attach-tls.sh - zslot-attach's TLS, up to what the kernel gets, with servers of several kinds; what the kernel makes of
# it is in tests/vm
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/functions.sh"
need certtool psktool
builddir=${builddir:-$srcdir}
talk=$builddir/tests/talk

# shellcheck source=tests/certify.sh
source "$srcdir/tests/certify.sh"
mkdir pki foreign
certify pki/ca 'cn = us' ca cert_signing_key
ca=pki/ca
certify pki/server 'cn = localhost' 'dns_name = localhost' 'ip_address = 127.0.0.1' tls_www_server signing_key
certify pki/client 'cn = a client' tls_www_client signing_key
certify pki/late 'cn = localhost' 'ip_address = 127.0.0.1' tls_www_server signing_key 'expiration_date = "2001-01-01 00:00:00"' 'activation_date = "2000-01-01 00:00:00"'
certify pki/guest 'cn = localhost' 'ip_address = 127.0.0.1' tls_www_client signing_key
ca=
certify foreign/ca 'cn = others' ca cert_signing_key
mkdir late
cp pki/ca-cert.pem late/
cp pki/late-cert.pem late/server-cert.pem
cp pki/late-key.pem late/server-key.pem
mkdir guest
cp pki/ca-cert.pem guest/
cp pki/guest-cert.pem guest/server-cert.pem
cp pki/guest-key.pem guest/server-key.pem
mkdir nobody half
cp pki/ca-cert.pem nobody/
cp pki/ca-cert.pem pki/client-cert.pem half/
psktool --username=alice --pskfile=keys.psk >/dev/null 2>&1
psktool --username=mallory --pskfile=others.psk >/dev/null 2>&1
sed 's/^mallory/alice/' others.psk >wrong.psk
cat others.psk keys.psk >both.psk

# What servers may be told not to have.
disable() { printf '[overrides]\n' && printf '%s\n' "$@"; }
disable 'disabled-version = tls1.3' >only-1.2
no_1_2=('disabled-version = tls1.2' 'disabled-version = tls1.1' 'disabled-version = tls1.0')
disable "${no_1_2[@]}" >only-1.3
disable 'tls-disabled-cipher = AES-128-GCM' 'tls-disabled-cipher = AES-128-CCM' >long-keys
disable 'tls-disabled-cipher = AES-128-GCM' 'tls-disabled-cipher = AES-128-CCM' "${no_1_2[@]}" >long-keys-1.3

# listens CONFIGURATION ARGUMENT...: nbdkit at 127.0.0.1:$port, as $pid
listens() {
    local configuration=$1
    shift
    port=$(unused_port)
    rm -f pid
    GNUTLS_SYSTEM_PRIORITY_FILE=$directory/$configuration \
        "$NBDKIT" -f -i 127.0.0.1 -p "$port" -P pid "$@" zslot 16M 2>log &
    pid=$!
    servers+=("$pid")
    until_true 60 is_served_or_over pid "$pid" || fail "the server does not start"
    [ -s pid ] || fail "the server has ended: $(cat log)"
}

# talks WORD ARGUMENT...: a page goes there and back, by what WORD says
talks() {
    local word=$1
    shift
    "$talk" "$@" >said || fail "$*: $(cat said)"
    grep -qF -- "$word" said || fail "$*: \"$word\" is not in: $(cat said)"
}

# says WORD ARGUMENT...: it does not, and says why
says() {
    local word=$1
    shift
    ! timeout 60 "$talk" "$@" >said || fail "$*: it works"
    [ "$(wc -l <said)" = 1 ] || fail "$*: not one line: $(cat said)"
    grep -qF -- "$word" said || fail "$*: \"$word\" is not in: $(cat said)"
}

# --- certificates ---

listens /dev/null --tls=require --tls-certificates=pki
# the_older_version_is_taken_where_there_are_both
talks 'TLS 1.2 AES-128-GCM' -C pki "127.0.0.1:$port"
talks 'TLS 1.2 AES-128-GCM' -C nobody "localhost:$port"
# who_the_server_is_must_be_proven
says 'not good: ' -C foreign "127.0.0.1:$port"
grep -q 'issuer is unknown' said || fail "another authority: $(cat said)"
says 'is not for elsewhere' -C pki -H elsewhere "127.0.0.1:$port"
grep -q -e --tls-hostname said || fail "another name: $(cat said)"
talks 'TLS 1.2' -C pki -H localhost "127.0.0.1:$port"
# what_is_plain_stays_out
says 'wants TLS: write --tls-certificates or --tls-psk' "127.0.0.1:$port"
# who_knows_other_things_stays_out
says 'the server goes by certificates' -k keys.psk "127.0.0.1:$port"
# a_list_of_revoked_certificates_that_cannot_be_read_is_not_none
cp -r pki loop
ln -s ca-crl.pem loop/ca-crl.pem
says 'loop: ca-crl.pem: ' -C loop "127.0.0.1:$port"
# secrets_of_a_connection_are_not_written_anywhere
SSLKEYLOGFILE=$directory/secrets talks 'TLS 1.2' -C pki "127.0.0.1:$port"
[ ! -e secrets ] || fail "secrets are in a file"
# a_version_that_is_forbidden_here_leaves_the_other
GNUTLS_SYSTEM_PRIORITY_FILE=$directory/only-1.3 talks 'TLS 1.3' -C pki "127.0.0.1:$port"
# a_connection_that_is_made_again_needs_no_memory
talks 'faults 0 heap 0' -r -n 20 -C pki "127.0.0.1:$port"
stop

# a_client_s_certificate_is_no_server_s
listens /dev/null --tls=require --tls-certificates=guest
says 'purpose' -C pki "127.0.0.1:$port"
stop

# a_certificate_has_its_time
listens /dev/null --tls=require --tls-certificates=late
says 'expired' -C pki "127.0.0.1:$port"
stop

# servers_of_one_version
listens only-1.2 --tls=require --tls-certificates=pki
talks 'TLS 1.2 AES-128-GCM' -C pki "127.0.0.1:$port"
stop
listens only-1.3 --tls=require --tls-certificates=pki
talks 'TLS 1.3 AES-128-GCM' -C pki "127.0.0.1:$port"
talks 'faults 0 heap 0' -r -n 20 -C pki "127.0.0.1:$port"
says 'is not for elsewhere' -C pki -H elsewhere "127.0.0.1:$port"
stop
# longer_keys
listens long-keys --tls=require --tls-certificates=pki
talks 'TLS 1.2 AES-256-GCM' -C pki "127.0.0.1:$port"
stop
listens long-keys-1.3 --tls=require --tls-certificates=pki
talks 'TLS 1.3 AES-256-GCM' -C pki "127.0.0.1:$port"
stop

# who_we_are_can_be_proven
listens /dev/null --tls=require --tls-certificates=pki --tls-verify-peer
talks 'TLS 1.2' -n 2 -C pki "127.0.0.1:$port"
says 'TLS' -C nobody "127.0.0.1:$port"
stop

# --- keys ---

listens /dev/null --tls=require --tls-psk=keys.psk
talks 'TLS 1.2 AES-128-GCM' -k keys.psk "127.0.0.1:$port"
talks 'TLS 1.2' -k both.psk -u alice "127.0.0.1:$port"
talks 'faults 0 heap 0' -r -n 20 -k keys.psk "127.0.0.1:$port"
# a_long_comment_is_no_key
{ printf '#%01100d:00\n' 0 && cat keys.psk; } >long.psk
talks 'TLS 1.2' -k long.psk "127.0.0.1:$port"
says 'this name and this key?' -k wrong.psk "127.0.0.1:$port"
says 'this name and this key?' -k both.psk "127.0.0.1:$port"
stop
listens only-1.3 --tls=require --tls-psk=keys.psk
talks 'TLS 1.3 AES-128-GCM' -k keys.psk "127.0.0.1:$port"
says 'this name and this key?' -k wrong.psk "127.0.0.1:$port"
stop

# --- servers without ---

listens /dev/null
says 'the server does not do TLS' -C pki "127.0.0.1:$port"
says 'the server does not do TLS' -k keys.psk "127.0.0.1:$port"
talks 'in the clear' "127.0.0.1:$port"
stop

# --- files ---

says 'nowhere: ca-cert.pem: No such file' -C nowhere "127.0.0.1:$port"
says 'half: client-key.pem' -C half "127.0.0.1:$port"
echo nonsense >half/client-key.pem
says 'client-cert.pem and client-key.pem: ' -C half "127.0.0.1:$port"
echo nonsense >half/ca-cert.pem
says 'half: ca-cert.pem: ' -C half "127.0.0.1:$port"
says '--tls-psk=nowhere: No such file' -k nowhere "127.0.0.1:$port"
says '--tls-psk=pki: Is a directory' -k pki "127.0.0.1:$port"
says 'psktool' -k /dev/null "127.0.0.1:$port"
says 'it has no key for bob' -k keys.psk -u bob "127.0.0.1:$port"
echo alice:nothex >bad.psk
says 'the key of alice: ' -k bad.psk "127.0.0.1:$port"
