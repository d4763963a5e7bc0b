/* web.S: the page and the schemas of openapi.json as bytes; gcc 12 has no #embed. */
    .section .rodata
    .macro file name, path
    .global \name, \name\()_end
\name:
    .incbin "\path"
\name\()_end:
    .byte 0
    .endm

    file web_html, "service/web/page.html"
    file web_css, "service/web/page.css"
    file web_js, "service/web/page.js"
    file web_schemas, "service/web/schemas.json"
    .section .note.GNU-stack, "", @progbits
