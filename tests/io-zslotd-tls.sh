#!/usr/bin/env bash
# io-zslotd-tls.sh - clients that nobody here wrote, over TLS, with certificates and with keys
#
# SPDX-License-Identifier: BSD-3-Clause

source "${srcdir:-$(dirname "$0")/..}/tests/zslotd.sh"
need nbdinfo nbdcopy certtool psktool zstd jq

# --- what both sides have ---

# shellcheck source=tests/certify.sh
source "$srcdir/tests/certify.sh"
mkdir pki foreign half
certify pki/ca 'cn = us' ca cert_signing_key
ca=pki/ca
certify pki/server 'cn = localhost' 'dns_name = localhost' 'ip_address = 127.0.0.1' tls_www_server signing_key
certify pki/client 'cn = a client' tls_www_client signing_key
ca=
certify foreign/ca 'cn = others' ca cert_signing_key
ca=foreign/ca
certify foreign/client 'cn = a stranger' tls_www_client signing_key
cp pki/ca-cert.pem foreign/right-ca.pem
cp pki/ca-cert.pem half/
psktool --username=alice --pskfile=keys.psk >/dev/null 2>&1
psktool --username=mallory --pskfile=others.psk >/dev/null 2>&1
mkdir stranger
cp foreign/right-ca.pem stranger/ca-cert.pem
cp foreign/client-cert.pem foreign/client-key.pem stranger/

# --- bad parameters ---

there=(--size=1M --listen="unix:$PWD/refused")
says tls=maybe off on require -- "${there[@]}" --tls=maybe
says 'nothing says' tls-certificates= tls-psk= -- "${there[@]}" --tls=require
says 'together' -- "${there[@]}" --tls=on --tls-psk=keys.psk --tls-certificates=pki
says tls-psk 'turns that on' -- "${there[@]}" --tls-psk=keys.psk
says tls-certificates 'turns that on' -- "${there[@]}" --tls-certificates=pki
says tls-verify-peer 'turns that on' -- "${there[@]}" --tls-verify-peer=true
says tls-verify-peer 'about certificates' -- "${there[@]}" --tls=on --tls-psk=keys.psk --tls-verify-peer=on
says tls-verify-peer=x -- "${there[@]}" --tls=on --tls-certificates=pki --tls-verify-peer=x
says tls-psk= 'no file' -- "${there[@]}" --tls=on --tls-psk=
says tls-certificates= 'no directory' -- "${there[@]}" --tls=on --tls-certificates=
says tls-psk= 'cannot read' -- "${there[@]}" --tls=on --tls-psk=nowhere
says tls-psk= psktool -- "${there[@]}" --tls=on --tls-psk=/dev/null
says tls-certificates= half server-cert.pem 'No such file' -- "${there[@]}" --tls=on --tls-certificates=half
says tls-certificates= ca-cert.pem 'No such file' -- "${there[@]}" --tls=on --tls-certificates=nowhere
cp pki/server-cert.pem half/
cp pki/client-key.pem half/server-key.pem
says tls-certificates= half server-key.pem -- "${there[@]}" --tls=on --tls-certificates=half
cp pki/server-key.pem half/
echo nonsense >half/ca-cert.pem
says tls-certificates= half ca-cert.pem -- "${there[@]}" --tls=on --tls-certificates=half
[ ! -e refused ] || fail "a refused server leaves its socket"

zstd -dc "$sample" | head -c 16M >pages
truncate -s 16M pages

# there_and_back URI
there_and_back() {
    rm -f back
    nbdcopy --connections=2 pages "$1" || fail "nbdcopy to $1"
    nbdcopy --connections=2 "$1" back || fail "nbdcopy from $1"
    cmp pages back
}

# comes_in URI, stays_out URI
comes_in() { [ "$(nbdinfo --size "$1")" = 16777216 ] || fail "$1 does not come in"; }
stays_out() { ! nbdinfo --size "$1" >said 2>&1 || fail "$1 comes in"; }

# --- certificates, by TCP and by a Unix socket ---

for port in $(seq 20809 20840); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
done
serve zslot 16M --tls=require --tls-certificates=pki --listen="tcp:127.0.0.1:$port"
tcp="nbds://localhost:$port/?tls-certificates=$PWD/pki"
secure="nbds+unix:///?socket=$socket&tls-certificates=$PWD/pki&tls-hostname=localhost"
[ "$(nbdinfo --json "$tcp" | jq .TLS)" = true ] || fail "it is not encrypted"
there_and_back "$tcp"
there_and_back "$secure"
nbdinfo --map "$secure" >/dev/null || fail "block status"
nbdinfo --list "$secure" >/dev/null || fail "the list"
# what_is_plain_stays_out
stays_out "$uri"
stays_out "nbd://127.0.0.1:$port"
# a_client_without_a_certificate_comes_in, if nobody says otherwise
mkdir nobody
cp pki/ca-cert.pem nobody/
comes_in "nbds://localhost:$port/?tls-certificates=$PWD/nobody"
# who_trusts_others_stays_out
stays_out "nbds://localhost:$port/?tls-certificates=$PWD/foreign"
if command -v qemu-img >/dev/null; then
    object="tls-creds-x509,id=tls,dir=$PWD/pki,endpoint=client"
    qemu="driver=nbd,host=localhost,port=$port,tls-creds=tls"
    qemu-img compare --object "$object" --image-opts "$qemu" "driver=raw,file.filename=pages" >said 2>&1 ||
        fail "qemu-img: $(cat said)"
fi
stop

# --- a certificate of the client's ---

serve zslot 16M --tls=require --tls-certificates=pki --tls-verify-peer=true
one="nbds+unix:///?socket=$socket&tls-hostname=localhost&tls-certificates=$PWD"
comes_in "$one/pki"
there_and_back "$one/pki"
stays_out "$one/nobody"
stays_out "$one/stranger"
stop

# --- keys ---

serve zslot 16M --tls=require --tls-psk=keys.psk
one="nbds+unix://alice@/?socket=$socket&tls-psk-file=$PWD"
comes_in "$one/keys.psk"
there_and_back "$one/keys.psk"
psktool --username=alice --pskfile=wrong.psk >/dev/null 2>&1
stays_out "$one/wrong.psk"
stays_out "nbds+unix://mallory@/?socket=$socket&tls-psk-file=$PWD/others.psk"
stays_out "$uri"
stop

# --- for those who ask ---

serve zslot 16M --tls=on --tls-psk=keys.psk
comes_in "nbds+unix://alice@/?socket=$socket&tls-psk-file=$PWD/keys.psk"
comes_in "$uri"
stop
serve zslot 16M --tls=off
comes_in "$uri"
stays_out "nbds+unix://alice@/?socket=$socket&tls-psk-file=$PWD/keys.psk"
stop
