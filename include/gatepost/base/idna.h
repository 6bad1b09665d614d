/*
 * Unicode in addresses: internationalised domain names and letter case.
 */
#ifndef GATEPOST_BASE_IDNA_H
#define GATEPOST_BASE_IDNA_H

/*
 * A domain as A-labels in lower case (IDNA2008 with UTS 46 mapping, non-transitional). Returns a
 * malloc'd text, or NULL when the text is no internationalised domain name.
 */
char *idna_domain_to_ascii(const char *domain);

/*
 * An address with its domain as A-labels, or a domain. Returns a malloc'd text, or NULL when there
 * is nothing to convert: the domain is US-ASCII, or no internationalised domain name.
 */
char *idna_address_to_ascii(const char *address);

/*
 * UTF-8 text in lower case and normalisation form C, whatever the locale. Returns a malloc'd
 * text, or NULL when it is no UTF-8.
 */
char *idna_lower_case(const char *text);

#endif
