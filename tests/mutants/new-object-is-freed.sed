# file: core/write.c
# test: unit-volume every_kind_of_page_replaces_every_kind
/^static void settle/,/^}/ s|release(parts, old)|release(parts, new)|
