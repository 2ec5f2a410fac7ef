package ldapd

import (
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/identity"
	"commsd/internal/errcode"
)

// bind signs in (RFC 4511, section 4.2; RFC 4513, section 5.1). The name is a
// mail address, or a name such as "mail=an@noivu.g2g.example,dc=g2g,dc=example".
func (c *conn) bind(m message) (done bool, err error) {
	c.signedIn = false // whatever comes of it (RFC 4511, 4.2.1)
	c.server.bind(c, identity.Actor{}, time.Now())
	refuse := func(code result, words string) (bool, error) {
		c.server.metrics.binds.WithLabelValues("refused").Inc()
		return false, c.result(m.id, opBind+1, code, words)
	}
	if len(m.op.Children) != 3 {
		return refuse(protocolError, "the bind cannot be read")
	}
	version, ok := m.op.Children[0].Value.(int64)
	if !ok || version != 3 {
		return refuse(protocolError, "only version 3 of LDAP is served")
	}
	name, auth := text(m.op.Children[1]), m.op.Children[2]
	if auth.ClassType != ber.ClassContext || auth.Tag != 0 {
		return refuse(authMethodNotSupported, "bind with a name and a password")
	}
	password := text(auth)
	switch {
	case name == "" && password == "":
		return refuse(inappropriateAuthentication, "nobody is served without a name; bind with your mail address and an app password")
	case password == "":
		return refuse(unwillingToPerform, "the password is empty")
	case !c.secure:
		return refuse(confidentialityRequired, "the password was sent in clear; use StartTLS or LDAPS, and make a new app password")
	}
	login, ok := loginOf(name)
	if !ok {
		return refuse(invalidDNSyntax, "bind as your mail address")
	}
	began := time.Now()
	actor, err := c.server.cfg.Directory.AuthenticatePassword(c.ctx, login, password, c.address, "ldap")
	if err != nil {
		c.server.metrics.binds.WithLabelValues("failed").Inc()
		code, words := resultOf(err)
		if code == other {
			c.server.cfg.Log.ErrorContext(c.ctx, "ldapd: bind", "err", err)
		}
		if errcode.Of(err) == errcode.Unauthenticated {
			c.failures++
		}
		if err := c.result(m.id, opBind+1, code, words); err != nil {
			return true, err
		}
		if c.failures >= c.server.cfg.MaxFailures {
			return true, c.disconnect(unwillingToPerform, "too many failed binds")
		}
		return false, nil
	}
	if !c.server.bind(c, actor, began) {
		return true, nil // the account ended meanwhile
	}
	c.signedIn, c.actor, c.failures = true, actor, 0
	c.server.metrics.binds.WithLabelValues("ok").Inc()
	return false, c.result(m.id, opBind+1, success, "")
}

// loginOf finds the mail address in a bind's name.
func loginOf(name string) (string, bool) {
	if !strings.Contains(name, "=") {
		return name, true
	}
	d, err := parseDN(name)
	if err != nil || len(d) == 0 {
		return "", false
	}
	switch d[0].attribute {
	case "mail", "uid", "cn":
		return d[0].value, true
	}
	return "", false
}
