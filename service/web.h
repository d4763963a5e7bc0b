/* web.h: the page's three files, put into the program by web.S. */
#ifndef SERVICE_WEB_H
#define SERVICE_WEB_H

extern const unsigned char web_html[], web_html_end[], web_css[], web_css_end[], web_js[],
    web_js_end[];

#endif
