package ldapd

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"commsd/directory/visibility"
	"commsd/identity"
	"commsd/internal/errcode"
)

// oidPaged is the control for results in pages (RFC 2696). All that a search
// may give fits one page.
const oidPaged = "1.2.840.113556.1.4.319"

const (
	scopeBase = 0
	scopeOne  = 1
	scopeSub  = 2
)

// searchRequest is a search (RFC 4511, section 4.5.1).
type searchRequest struct {
	base       dn
	scope      int64
	sizeLimit  int64
	typesOnly  bool
	filter     *filter
	attributes []string
}

func parseSearch(p *ber.Packet) (searchRequest, error) {
	var rq searchRequest
	if len(p.Children) != 8 {
		return rq, badRequest("the search cannot be read")
	}
	var err error
	if rq.base, err = parseDN(text(p.Children[0])); err != nil {
		return rq, err
	}
	var ok [3]bool
	rq.scope, ok[0] = p.Children[1].Value.(int64)
	rq.sizeLimit, ok[1] = p.Children[3].Value.(int64)
	rq.typesOnly, ok[2] = p.Children[5].Value.(bool)
	if ok != [3]bool{true, true, true} || rq.scope < scopeBase || rq.scope > scopeSub || rq.sizeLimit < 0 {
		return rq, badRequest("the search cannot be read")
	}
	if rq.filter, err = parseFilter(p.Children[6]); err != nil {
		return rq, err
	}
	for _, a := range p.Children[7].Children {
		rq.attributes = append(rq.attributes, text(a))
	}
	return rq, nil
}

// search finds entries.
func (c *conn) search(m message) error {
	rq, err := parseSearch(m.op)
	if err != nil {
		var bad badRequest
		if errors.As(err, &bad) {
			return c.done(m, protocolError, string(bad))
		}
		return c.done(m, invalidDNSyntax, "the name to search below cannot be read")
	}
	if len(rq.base) == 0 && rq.scope == scopeBase {
		return c.rootDSE(m, rq)
	}
	if !c.signedIn {
		c.server.metrics.searches.WithLabelValues("refused").Inc()
		return c.done(m, insufficientAccessRights, "bind with your mail address and an app password first")
	}
	limit := c.server.cfg.MaxEntries
	if rq.sizeLimit > 0 {
		limit = int(min(rq.sizeLimit, int64(limit)))
	}
	ctx, cancel := context.WithTimeout(c.ctx, searchTimeout)
	defer cancel()
	var found []visibility.Entry
	var code result
	if err = c.again(ctx); err == nil {
		found, code, err = c.find(ctx, rq, limit)
	}
	if err != nil {
		c.server.metrics.searches.WithLabelValues("failed").Inc()
		code, words := resultOf(err)
		if code == other {
			c.server.cfg.Log.ErrorContext(ctx, "ldapd: search", "err", err)
		}
		return c.done(m, code, words)
	}
	pick := newSelection(rq.attributes)
	for _, e := range found {
		if err := c.write(m.id, entryPacket(dnOf(e, c.server.base).String(), attributesOf(e), pick, rq.typesOnly), nil); err != nil {
			return err
		}
	}
	words, outcome := "", "ok"
	if code == sizeLimitExceeded {
		words, outcome = "there are more; type more of the name", "limited"
	}
	c.server.metrics.searches.WithLabelValues(outcome).Inc()
	return c.done(m, code, words)
}

// again has c act as who signed in is now: posts and roles end while a
// connection stays, and so does what it signed in by.
func (c *conn) again(ctx context.Context) error {
	began := time.Now()
	actor, err := c.server.cfg.Directory.AuthenticateAgain(ctx, c.actor, "ldap")
	if errcode.Of(err) == errcode.Unauthenticated {
		c.signedIn, c.actor = false, identity.Actor{}
	}
	if err != nil {
		return err
	}
	if !c.server.bind(c, actor, began) {
		return net.ErrClosed
	}
	c.actor = actor
	return nil
}

// find returns at most limit entries of a search, and whether there may be more.
func (c *conn) find(ctx context.Context, rq searchRequest, limit int) ([]visibility.Entry, result, error) {
	below, ok := rq.base.under(c.server.base)
	if !ok && len(rq.base) > 0 {
		return nil, noSuchObject, nil
	}
	agency := ""
	switch {
	case len(below) == 0:
		if rq.scope == scopeBase {
			return nil, success, nil // the base itself is no person
		}
	case len(below) == 1 && below[0].attribute == "o":
		if rq.scope == scopeBase {
			return nil, success, nil
		}
		agency = below[0].value
	case below[0].attribute == "uid" && len(below) <= 2:
		return c.findOne(ctx, rq, identity.PersonID(below[0].value))
	default:
		return nil, noSuchObject, nil
	}
	// One over the limit tells that there are more.
	ask := c.server.cfg.MaxEntries + 1
	var found []visibility.Entry
	full := false
	seen := map[identity.PersonID]bool{}
	for _, q := range rq.filter.queries() {
		entries, err := c.server.cfg.Directory.FindEntries(ctx, c.actor, q, ask)
		if err != nil {
			return nil, success, err
		}
		full = full || len(entries) >= ask
		for _, e := range entries {
			if seen[e.ID] || agency != "" && !strings.EqualFold(agency, e.AgencyIdentifier) || rq.filter.match(attributesOf(e)) != yes {
				continue
			}
			seen[e.ID] = true
			if len(found) == limit {
				return found, sizeLimitExceeded, nil
			}
			found = append(found, e)
		}
	}
	if full {
		return found, sizeLimitExceeded, nil
	}
	return found, success, nil
}

func (c *conn) findOne(ctx context.Context, rq searchRequest, id identity.PersonID) ([]visibility.Entry, result, error) {
	e, err := c.server.cfg.Directory.Entry(ctx, c.actor, id)
	switch {
	case errcode.Of(err) == errcode.NotFound:
		return nil, noSuchObject, nil
	case err != nil:
		return nil, success, err
	case rq.base.String() != dnOf(e, c.server.base).String():
		return nil, noSuchObject, nil
	case rq.scope == scopeOne || rq.filter.match(attributesOf(e)) != yes:
		return nil, success, nil // nobody stands below a person
	}
	return []visibility.Entry{e}, success, nil
}

// rootDSE tells what the server is (RFC 4512, section 5.1); before a bind, too.
func (c *conn) rootDSE(m message, rq searchRequest) error {
	a := attributes{
		"objectClass":          {"top"},
		"namingContexts":       {c.server.base.String()},
		"defaultNamingContext": {c.server.base.String()},
		"supportedLDAPVersion": {"3"},
		"supportedExtension":   {oidStartTLS, oidWhoAmI},
		"supportedControl":     {oidPaged},
		"vendorName":           {"commsd"},
	}
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opEntry, nil, "")
	p.AppendChild(octets(""))
	list := ber.NewSequence("")
	for _, name := range (selection{all: true}).of(a) {
		list.AppendChild(attributePacket(name, a[name], rq.typesOnly))
	}
	p.AppendChild(list)
	if err := c.write(m.id, p, nil); err != nil {
		return err
	}
	return c.done(m, success, "")
}

// done ends a search; a page that was asked for is said to be the last.
func (c *conn) done(m message, code result, words string) error {
	var controls *ber.Packet
	for _, k := range m.controls {
		if k.oid != oidPaged {
			continue
		}
		value := ber.NewSequence("")
		value.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, 0, ""))
		value.AppendChild(octets(""))
		one := ber.NewSequence("")
		one.AppendChild(octets(oidPaged))
		one.AppendChild(octets(string(value.Bytes())))
		controls = ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		controls.AppendChild(one)
		break
	}
	return c.write(m.id, newResult(opDone, code, words), controls)
}

func entryPacket(name string, a attributes, pick selection, typesOnly bool) *ber.Packet {
	p := ber.Encode(ber.ClassApplication, ber.TypeConstructed, opEntry, nil, "")
	p.AppendChild(octets(name))
	list := ber.NewSequence("")
	for _, name := range pick.of(a) {
		list.AppendChild(attributePacket(written[name], a[name], typesOnly))
	}
	p.AppendChild(list)
	return p
}

func attributePacket(name string, values []string, typesOnly bool) *ber.Packet {
	p := ber.NewSequence("")
	p.AppendChild(octets(name))
	set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
	if !typesOnly {
		for _, v := range values {
			set.AppendChild(octets(v))
		}
	}
	p.AppendChild(set)
	return p
}
