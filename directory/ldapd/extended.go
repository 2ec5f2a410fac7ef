package ldapd

import (
	ber "github.com/go-asn1-ber/asn1-ber"
)

const (
	oidStartTLS      = "1.3.6.1.4.1.1466.20037"
	oidWhoAmI        = "1.3.6.1.4.1.4203.1.11.3"
	oidDisconnection = "1.3.6.1.4.1.1466.20036"
)

// extended answers StartTLS (RFC 4511, section 4.14) and "who am I" (RFC 4532).
func (c *conn) extended(m message) (done bool, err error) {
	if len(m.op.Children) == 0 {
		return true, c.disconnect(protocolError, "the extended operation has no name")
	}
	switch oid := text(m.op.Children[0]); oid {
	case oidStartTLS:
		if c.secure {
			return false, c.result(m.id, opExtendedEnd, 1, "TLS is on already") // operationsError
		}
		if c.reader.Buffered() > 0 {
			return true, c.disconnect(protocolError, "more was sent in clear behind StartTLS")
		}
		p := newResult(opExtendedEnd, success, "")
		p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 10, oidStartTLS, ""))
		if err := c.write(m.id, p, nil); err != nil {
			return true, err
		}
		return false, c.startTLS()
	case oidWhoAmI:
		p := newResult(opExtendedEnd, success, "")
		who := ""
		if c.signedIn {
			who = "u:" + c.actor.Login
		}
		p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, who, ""))
		return false, c.write(m.id, p, nil)
	default:
		return false, c.result(m.id, opExtendedEnd, protocolError, "the operation "+printable(oid)+" is not known here")
	}
}
