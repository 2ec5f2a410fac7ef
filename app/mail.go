package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"commsd/audit"
	"commsd/chat"
	"commsd/directory"
	"commsd/internal/tlscert"
	"commsd/mail"
)

// certificateFile holds the certificate, not its key, for people to give to
// their mail clients.
const certificateFile = "mail.crt"

// showCertificate writes the certificate that the installation made for itself
// to the data folder, and takes an old one away where files are used instead.
func (a *App) showCertificate(c *tls.Config, own bool) error {
	name := filepath.Join(a.cfg.DataDir, certificateFile)
	if !own {
		if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificates[0].Certificate[0]})
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, text) {
		return nil
	}
	if err := os.MkdirAll(a.cfg.DataDir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", text, 0o644); err != nil { //nolint:gosec // it is public
		return err
	}
	return os.Rename(name+".new", name)
}

// clientCertificate returns the certificate that mail clients see: that of
// http.tls, or one that the installation makes for itself.
func (a *App) clientCertificate(ctx context.Context, n *node) (*tls.Config, error) {
	certificate, err := tlscert.Own(ctx, n.secret, []string{a.cfg.Domain, "localhost", "127.0.0.1", "::1"}, a.opts.Now())
	own := a.cfg.HTTP.TLS.Cert == ""
	if !own {
		certificate, err = tlscert.Files(a.cfg.HTTP.TLS.Cert, a.cfg.HTTP.TLS.Key)
	}
	if err != nil {
		return nil, err
	}
	if err := a.showCertificate(certificate, own); err != nil {
		a.log.Warn("the certificate of the mail listeners was not written; mail clients work all the same", "err", err)
	}
	return certificate, nil
}

// openMail makes the mail service on its listeners.
func (a *App) openMail(n *node, dir *directory.Service, auditLog *audit.Log, pages *chat.Service, certificate *tls.Config, listeners map[string]net.Listener) (*mail.Service, error) {
	s, err := mail.New(mail.Config{
		Domain: a.cfg.Domain, DB: n.db, Bus: n.bus, Blobs: n.blobs, Directory: dir, Notifier: pages, Audit: auditLog, TLS: certificate,
		Listeners: mail.Listeners{
			SMTP: listeners["mail.smtp_listen"], Submission: listeners["mail.submission_listen"], Submissions: listeners["mail.submissions_listen"],
			IMAP: listeners["mail.imap_listen"], IMAPS: listeners["mail.imaps_listen"],
		},
		Smarthost: a.cfg.Mail.Smarthost, Hold: a.cfg.Demo, Log: a.log, Registerer: a.reg, Now: a.opts.Now,
		MaxMessageBytes: a.cfg.Mail.MaxMessageBytes, MaxRecipients: a.cfg.Mail.MaxRecipients, MaxMailboxes: a.cfg.Mail.MaxMailboxes,
		MaxSearchWords: a.cfg.Mail.IMAPMaxSearchWords, MaxListPatterns: a.cfg.Mail.IMAPMaxListPatterns,
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

// systemMail lets the directory, which is made first, send by the mail service.
// Its member is set before anything is served.
type systemMail struct{ service *mail.Service }

// SendSystem implements directory.Mailer.
func (m *systemMail) SendSystem(ctx context.Context, to, subject, text string) error {
	return m.service.SendSystem(ctx, to, subject, text)
}
