# certify.sh - certificates for tests of TLS; sourced, not run
#
#   ca    the authority that signs, as NAME of an earlier certify; empty: each signs itself
# shellcheck shell=bash
#
# SPDX-License-Identifier: BSD-3-Clause

ca=

# certify NAME WORD...: NAME-key.pem and NAME-cert.pem, of what certtool's template says in these words
certify() {
    local one=$1
    shift
    printf '%s\n' "$@" >template
    certtool --generate-privkey --key-type=ecdsa --outfile "$one-key.pem" 2>/dev/null
    if [ -z "$ca" ]; then
        certtool --generate-self-signed --load-privkey "$one-key.pem" --template template \
            --outfile "$one-cert.pem" 2>/dev/null
    else
        certtool --generate-certificate --load-privkey "$one-key.pem" --template template \
            --load-ca-certificate "$ca-cert.pem" --load-ca-privkey "$ca-key.pem" \
            --outfile "$one-cert.pem" 2>/dev/null
    fi
}
