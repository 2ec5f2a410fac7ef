package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"
)

// maxHosts is how many hosts of one domain are tried in one attempt.
const maxHosts = 5

// hosts finds where mail for a domain goes, best first, each as host:port (RFC
// 5321, section 5.1). The error is an *smtp.SMTPError of class 5 where the
// domain takes no mail at all.
func (q *Queue) hosts(ctx context.Context, domain string) ([]string, error) {
	mxs, err := q.cfg.Resolver.LookupMX(ctx, domain)
	var dns *net.DNSError
	if err != nil && (!errors.As(err, &dns) || !dns.IsNotFound) {
		return nil, fmt.Errorf("look up MX of %s: %w", domain, err)
	}
	if len(mxs) == 1 && (mxs[0].Host == "." || mxs[0].Host == "") {
		return nil, &smtp.SMTPError{Code: 556, EnhancedCode: smtp.EnhancedCode{5, 1, 10}, Message: domain + " takes no mail"}
	}
	slices.SortStableFunc(mxs, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	var out []string
	for _, mx := range mxs {
		if host := strings.TrimSuffix(mx.Host, "."); host != "" && len(out) < maxHosts {
			out = append(out, net.JoinHostPort(host, q.cfg.MXPort))
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if _, err := q.cfg.Resolver.LookupHost(ctx, domain); err != nil {
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 2}, Message: "there is no mail domain " + domain}
		}
		return nil, fmt.Errorf("look up %s: %w", domain, err)
	}
	return []string{net.JoinHostPort(domain, q.cfg.MXPort)}, nil
}

// toHosts sends to recipients by the first host that lets itself be talked to.
func (q *Queue) toHosts(ctx context.Context, it work, to, hosts []string) []result {
	var last error
	remote := ""
	for _, host := range hosts {
		remote, _, _ = net.SplitHostPort(host)
		client, err := q.connect(ctx, host)
		if err != nil {
			last = err
			continue
		}
		results, err := q.transact(ctx, client, it, to, remote)
		_ = client.Close() // the outcome is known
		if err == nil {
			return results
		}
		last = err
	}
	var out []result
	for _, r := range to {
		out = append(out, temporary(r, remote, last))
	}
	return out
}

// transact sends the item to recipients over an open connection. The error
// means that the host did not take part at all, so that another may be tried.
func (q *Queue) transact(ctx context.Context, client *smtp.Client, it work, to []string, remote string) ([]result, error) {
	if err := client.Mail(it.mailFrom, &smtp.MailOptions{Size: it.size + int64(len(it.trace))}); err != nil {
		var se *smtp.SMTPError
		if errors.As(err, &se) && se.Code >= 500 {
			return all(to, remote, err), nil
		}
		return nil, err
	}
	var out []result
	var taken []string
	for _, r := range to {
		err := client.Rcpt(r, nil)
		if err != nil {
			out = append(out, temporary(r, remote, err))
			continue
		}
		taken = append(taken, r)
	}
	if len(taken) == 0 {
		return out, nil
	}
	ok, err := q.data(ctx, client, it)
	if err != nil {
		return append(out, all(taken, remote, err)...), nil
	}
	for _, r := range taken {
		out = append(out, result{recipient: r, state: Sent, code: 250, answer: printable(ok), remote: remote})
	}
	_ = client.Quit() // the mail is theirs
	return out, nil
}

func (q *Queue) data(ctx context.Context, client *smtp.Client, it work) (string, error) {
	body, err := q.open(ctx, it)
	if err != nil {
		return "", err
	}
	defer body.Close()
	w, err := client.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.Copy(w, body); err != nil {
		// Closing w would end the message as if it were whole; the connection is
		// cut instead.
		_ = client.Close()
		return "", err
	}
	answer, err := w.CloseWithResponse()
	if err != nil {
		return "", err
	}
	if answer == nil {
		return "", nil
	}
	return answer.StatusText, nil
}

func all(to []string, remote string, err error) []result {
	var out []result
	for _, r := range to {
		out = append(out, temporary(r, remote, err))
	}
	return out
}
