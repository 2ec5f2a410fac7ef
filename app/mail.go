package app

import (
	"context"
	"net"

	"commsd/chat"
	"commsd/directory"
	"commsd/internal/tlscert"
	"commsd/mail"
)

// openMail makes the mail service on its listeners. Its servers use the
// certificate of http.tls, or one that the installation makes for itself.
func (a *App) openMail(ctx context.Context, n *node, dir *directory.Service, pages *chat.Service, listeners map[string]net.Listener) (*mail.Service, error) {
	certificate, err := tlscert.Own(ctx, n.secret, []string{a.cfg.Domain, "localhost", "127.0.0.1", "::1"}, a.opts.Now())
	if t := a.cfg.HTTP.TLS; t.Cert != "" {
		certificate, err = tlscert.Files(t.Cert, t.Key)
	}
	if err != nil {
		return nil, err
	}
	s, err := mail.New(mail.Config{
		Domain: a.cfg.Domain, DB: n.db, Bus: n.bus, Blobs: n.blobs, Directory: dir, Notifier: pages, TLS: certificate,
		Listeners: mail.Listeners{
			SMTP: listeners["mail.smtp_listen"], Submission: listeners["mail.submission_listen"], Submissions: listeners["mail.submissions_listen"],
			IMAP: listeners["mail.imap_listen"], IMAPS: listeners["mail.imaps_listen"],
		},
		Smarthost: a.cfg.Mail.Smarthost, Hold: a.cfg.Demo, Log: a.log, Registerer: a.reg, Now: a.opts.Now,
		MaxMessageBytes: a.cfg.Mail.MaxMessageBytes, MaxRecipients: a.cfg.Mail.MaxRecipients,
		MaxConnections: a.cfg.Mail.MaxConnections, MaxConnectionsPerAddress: a.cfg.Mail.MaxConnectionsPerAddress, MaxFailures: a.cfg.Mail.MaxFailedSignIns,
		QueueLifetime: a.cfg.Mail.QueueLifetime, QueueWorkers: a.cfg.Mail.QueueWorkers, CollectAfter: a.cfg.Mail.CollectAfter,
	})
	if err != nil {
		return nil, err
	}
	n.fronts = append(n.fronts, service{"mail", s.Run})
	n.drains = append(n.drains, s.Drain)
	n.revokes = append(n.revokes, s.Revoke)
	return s, nil
}
