/* web.h: the files that web.S puts into the program. */
#ifndef SERVICE_WEB_H
#define SERVICE_WEB_H

extern const unsigned char web_html[], web_html_end[], web_css[], web_css_end[], web_js[],
    web_js_end[], web_schemas[], web_schemas_end[];

#endif
