package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// maxDomains bounds how many agencies' domains are looked up.
const maxDomains = 50

// checkNames looks up what others look up: the host of the pages, and where mail
// for the agencies' domains goes.
func (d *Doctor) checkNames(ctx context.Context) {
	public, err := url.Parse(d.cfg.HTTP.PublicURL)
	if err != nil {
		return // the configuration was checked
	}
	ours := d.checkHost(ctx, public.Hostname())
	domains := []string{d.cfg.Domain}
	if d.census != nil {
		for _, domain := range d.census.Domains {
			if !slices.Contains(domains, domain) {
				domains = append(domains, domain)
			}
		}
	}
	if len(domains) > maxDomains {
		d.skip("names", "%d domains; the first %d are looked up", len(domains), maxDomains)
		domains = domains[:maxDomains]
	}
	for _, domain := range domains {
		if !d.checkDomain(ctx, domain, ours) {
			return
		}
	}
}

// reserved are the names that no network resolves (RFC 2606, 6761, 9476).
var reserved = []string{"example", "test", "invalid", "localhost", "local", "internal", "alt"}

func isReserved(domain string) bool {
	return slices.Contains(reserved, domain[strings.LastIndexByte(domain, '.')+1:])
}

// checkHost returns the addresses of the pages' host and of this machine.
func (d *Doctor) checkHost(ctx context.Context, host string) []string {
	const check = "name of the pages"
	var ours []string
	if addresses, err := net.InterfaceAddrs(); err == nil {
		for _, a := range addresses {
			if n, ok := a.(*net.IPNet); ok {
				ours = append(ours, n.IP.String())
			}
		}
	}
	ours = append(ours, d.cfg.Media.Advertise...)
	if loopbackHost(host) || net.ParseIP(host) != nil || isReserved(host) {
		d.skip(check, "%s is not looked up", host)
		return ours
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	found, err := d.resolver.LookupHost(ctx, host)
	switch {
	case notFound(err):
		d.fail(check, host+" has no address", "add an A or AAAA record for it, or correct http.public_url")
	case err != nil:
		d.warn(check, "the name server does not answer", "look at /etc/resolv.conf; in a network without one, have machines know "+host+" by their hosts file")
	default:
		d.ok(check, "%s is %s", host, strings.Join(found, ", "))
	}
	return append(ours, found...)
}

// checkDomain looks at a mail domain; false when no name server answers.
func (d *Doctor) checkDomain(ctx context.Context, domain string, ours []string) bool {
	check := "mail for " + domain
	if isReserved(domain) {
		d.skip(check, "the domain is reserved for examples and closed networks; it is not looked up")
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	mx, err := d.resolver.LookupMX(ctx, domain)
	switch {
	case notFound(err) || err == nil && len(mx) == 0:
		d.fail(check, "there is no MX record: other agencies' mail does not come in", domain+". IN MX 10 <the host of this server>.")
		return true
	case err != nil && len(mx) == 0:
		d.warn(check, "the name server does not answer", "look at /etc/resolv.conf; a closed network needs MX records of its own, or mail.smarthost everywhere")
		return false
	}
	var hosts []string
	here := false
	for _, m := range mx {
		hosts = append(hosts, strings.TrimSuffix(m.Host, "."))
		addresses, err := d.resolver.LookupHost(ctx, m.Host)
		if err != nil {
			d.fail(check, fmt.Sprintf("its MX %s has no address", m.Host), "add an A or AAAA record for it")
			continue
		}
		for _, a := range addresses {
			here = here || slices.Contains(ours, a)
		}
	}
	if here {
		d.ok(check, "comes here, by %s", strings.Join(hosts, ", "))
	} else {
		d.warn(check, "goes to "+strings.Join(hosts, ", ")+", which is not this machine", "right behind a relay or a load balancer; otherwise point the MX record here")
	}
	d.checkText(ctx, "SPF of "+domain, domain, "v=spf1", domain+`. IN TXT "v=spf1 mx -all"`)
	d.checkText(ctx, "DMARC of "+domain, "_dmarc."+domain, "v=DMARC1", "_dmarc."+domain+`. IN TXT "v=DMARC1; p=quarantine"`)
	return true
}

func (d *Doctor) checkText(ctx context.Context, check, name, prefix, cure string) {
	records, err := d.resolver.LookupTXT(ctx, name)
	if err != nil && !notFound(err) {
		d.warn(check, "the name server does not answer", "try again")
		return
	}
	n := 0
	for _, r := range records {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	switch n {
	case 0:
		d.warn(check, "there is none: others may refuse this domain's mail, or take forged mail for it", cure)
	case 1:
		d.ok(check, "stands")
	default:
		d.fail(check, fmt.Sprintf("there are %d, which counts as none", n), "keep one record")
	}
}

func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}
