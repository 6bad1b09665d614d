/*
 * Unicode in addresses: internationalised domain names and letter case.
 */
#ifndef GATEPOST_BASE_IDNA_H
#define GATEPOST_BASE_IDNA_H

/*
 * Each returns 1 and a malloc'd text in *out, 0 when the text cannot be converted or need not be,
 * or -1 when there is no memory (*out is NULL with both).
 */

/*
 * A domain as A-labels in lower case (IDNA2008 with UTS 46 mapping, non-transitional). 0 when the
 * text is no internationalised domain name.
 */
int idna_domain_to_ascii(const char *domain, char **out);

/*
 * An address with its domain as A-labels, or a domain. 0 when the domain is US-ASCII, or no
 * internationalised domain name.
 */
int idna_address_to_ascii(const char *address, char **out);

/* UTF-8 text in lower case and normalisation form C, whatever the locale. 0 when it is no UTF-8. */
int idna_lower_case(const char *text, char **out);

#endif
