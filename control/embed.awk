# embed.awk - the live page as a string of C, with the files it names put in
#
#   awk -v from=DIRECTORY/ -f embed.awk live.html >live.inc
#
# A line "@include FILE" stands for that file of the same directory.
#
# SPDX-License-Identifier: BSD-3-Clause

function put(line) {
    gsub(/[\\"]/, "\\\\&", line)
    printf "\"%s\\n\"\n", line
}

/^@include / {
    file = from $2
    while ((got = (getline line < file)) > 0)
        put(line)
    if (got < 0) {
        print "embed.awk: cannot read " file > "/dev/stderr"
        exit 1
    }
    close(file)
    next
}

{ put($0) }
