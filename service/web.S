/* web.S: the page as bytes; gcc 12 has no #embed. */
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
    .section .note.GNU-stack, "", @progbits
