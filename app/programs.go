package app

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"commsd/directory/ldapd"
	"commsd/identity"
	"commsd/internal/httpapi"
)

// program is how a program on somebody's own machine reaches one protocol.
type program struct {
	Protocol string `json:"protocol" enum:"imap,smtp,ldap"`
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Security string `json:"security" enum:"tls,starttls" doc:"tls: from the first byte"`
	Base     string `json:"base,omitempty" doc:"LDAP: the name that searches begin at, dc=g2g,dc=example"`
}

type programsOutput struct {
	Body struct {
		Programs []program `json:"programs" nullable:"false" doc:"those that this installation serves"`
	}
}

// routePrograms registers GET /api/v1/account/programs.
func routePrograms(api *httpapi.API, programs []program) {
	out := &programsOutput{}
	out.Body.Programs = programs
	httpapi.Get(api, "list-programs", "info", "/api/v1/account/programs", "Say what mail and address book programs have to be set to",
		func(context.Context, identity.Actor, *struct{}) (*programsOutput, error) { return out, nil })
}

// programs tells what people set their programs to: of each protocol the
// listener with TLS from the first byte, else the one with STARTTLS.
func (c *Config) programs(listeners map[string]net.Listener) []program {
	out := []program{}
	for _, p := range []struct {
		protocol, implicit, upgraded string
		announced                    string
	}{
		{"imap", "mail.imaps_listen", "mail.imap_listen", c.Mail.ClientIMAP},
		{"smtp", "mail.submissions_listen", "mail.submission_listen", c.Mail.ClientSMTP},
		{"ldap", "ldap.listen", "", c.LDAP.Client},
	} {
		key, security := p.implicit, "tls"
		if listeners[key] == nil {
			key, security = p.upgraded, "starttls"
		}
		if listeners[key] == nil {
			continue
		}
		host, port := c.publicHost(), portOf(listeners[key].Addr())
		if p.announced != "" {
			h, digits, _ := net.SplitHostPort(p.announced) // validated
			host = h
			port, _ = strconv.Atoi(digits)
		}
		base := ""
		if p.protocol == "ldap" {
			base = ldapd.BaseOf(c.Domain)
		}
		out = append(out, program{Protocol: p.protocol, Host: host, Port: port, Security: security, Base: base})
	}
	return out
}

func (c *Config) publicHost() string {
	u, err := url.Parse(c.HTTP.PublicURL)
	if err != nil {
		return c.Domain // validated: it never comes to this
	}
	return u.Hostname()
}

func portOf(a net.Addr) int {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return 0
	}
	return int(at.Port())
}
