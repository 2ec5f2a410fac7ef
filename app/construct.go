package app

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"

	"commsd/audit"
	"commsd/chat"
	"commsd/directory"
	"commsd/directory/password"
	"commsd/identity"
	"commsd/internal/httpapi"
	"commsd/internal/wsconn"
	"commsd/mail"
	"commsd/meeting"
	"commsd/web"
)

// construct makes every domain on the opened stores, connects them, and
// returns what the public listener serves.
func (a *App) construct(ctx context.Context, n *node, listeners map[string]net.Listener) (http.Handler, error) {
	auditLog := audit.New(audit.Config{DB: n.db, Log: a.log, Now: a.opts.Now, Refusals: a.cfg.Audit.refusals()})
	letters := &systemMail{}
	dir, err := a.newDirectory(ctx, n, auditLog, letters)
	if err != nil {
		return nil, err
	}
	if err := a.seed(ctx, dir); err != nil {
		return nil, err
	}
	n.cores = append(n.cores,
		service{"directory", dir.Run},
		service{"revocations", func(ctx context.Context) error {
			return dir.WatchRevocations(ctx, func(r identity.Revocation) {
				for _, revoke := range n.revokes {
					revoke(r)
				}
			})
		}})

	api := httpapi.New(httpapi.Config{
		Title: "commsd", Version: a.opts.Version, Secure: a.cfg.secure(), Authenticator: dir,
		Log: a.log, MaxBodyBytes: a.cfg.HTTP.MaxBodyBytes,
	})
	messages, err := chat.New(chat.Config{
		DB: n.db, Bus: n.bus, Directory: dir, Audit: auditLog, Locks: dir, PublicURL: a.cfg.HTTP.PublicURL,
		MaxText: a.cfg.Chat.MaxTextBytes, MaxMembers: a.cfg.Chat.MaxMembers, SendRate: a.cfg.Chat.SendsPerSecond, SendBurst: a.cfg.Chat.SendBurst,
		Socket: wsconn.Config{QueueBytes: a.cfg.Chat.QueueBytes}, MaxSockets: a.cfg.Chat.MaxSockets, DrainSpread: a.cfg.Chat.DrainSpread,
		Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
	if err != nil {
		return nil, err
	}
	n.fronts = append(n.fronts, service{"chat", messages.Run})
	n.revokes = append(n.revokes, messages.Revoke)
	n.drains = append(n.drains, messages.Drain)

	certificate, err := a.clientCertificate(ctx, n)
	if err != nil {
		return nil, err
	}
	post, err := a.openMail(n, dir, auditLog, messages, certificate, listeners)
	if err != nil {
		return nil, err
	}
	letters.service = post
	if err := a.openLDAP(n, dir, certificate, listeners["ldap.listen"]); err != nil {
		return nil, err
	}

	if err := a.constructAudit(n, api, auditLog, dir); err != nil {
		return nil, err
	}
	routeInfo(api, a.opts.Version, a.cfg.Demo)
	routePrograms(api, a.cfg.programs(listeners))
	dir.Routes(api)
	messages.Routes(api)
	post.Routes(api)
	if err := a.constructMeetings(ctx, n, api, auditLog, dir, messages, listeners); err != nil {
		return nil, err
	}
	pages, err := web.Handler(a.public)
	if err != nil {
		return nil, err
	}
	return publicHandler(api.Handler(), pages, a.public, a.cfg.proxies(), a.log, a.reg), nil
}

// newDirectory makes the directory on the opened stores.
func (a *App) newDirectory(ctx context.Context, n *node, auditLog *audit.Log, letters directory.Mailer) (*directory.Service, error) {
	appPasswords, err := n.secret.Get(ctx, "app_password.key", randomKey)
	if err != nil {
		return nil, err
	}
	policy := password.Policy{Alone: a.cfg.SignIn.PasswordMin, WithFactor: a.cfg.SignIn.PasswordMinWithFactor}
	if list := a.cfg.SignIn.PasswordList; list != "" {
		if policy.List, err = password.ReadList(list); err != nil {
			return nil, keyErrorf("sign_in.password_list", "cannot be read: %w; name a text file with one password a line", err)
		}
		a.log.Info("passwords of a list are refused", "key", "sign_in.password_list", "passwords", policy.List.Len())
	}
	return directory.New(directory.Config{
		Mailer: letters,
		DB:     n.db, Bus: n.bus, Audit: auditLog, Domain: a.cfg.Domain, SessionLifetime: a.cfg.Session.MaxAge,
		FreeFailures: a.cfg.SignIn.FreeFailures, LongestDelay: a.cfg.SignIn.LongestDelay, AddressBurst: a.cfg.SignIn.AddressBurst,
		AppPasswordKey: appPasswords,
		Policy:         policy,
		TicketLifetime: a.cfg.SignIn.TicketLifetime, CodeLifetime: a.cfg.SignIn.CodeLifetime,
		IdleLock: a.cfg.Session.IdleLock, AdminIdleLock: a.cfg.Session.AdminIdleLock, FreshFor: a.cfg.Session.FreshFor,
		MaxHashes: a.cfg.SignIn.MaxHashes, MaxHashQueue: a.cfg.SignIn.MaxWaiting,
		PublicURL: a.public.String(), Secrets: n.secret, RequireFactor: a.cfg.SignIn.RequireFactor,
		FreeCodes: a.cfg.SignIn.FreeCodes, LongestCodeDelay: a.cfg.SignIn.LongestCodeDelay, Providers: a.cfg.SignIn.providers(),
		Imports:           a.cfg.imports(),
		LongestDelegation: a.cfg.Delegation.Longest, MaxDelegations: a.cfg.Delegation.MaxAtOnce,
		Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
}

// seed fills an empty directory for the demo, and keeps a directory that the
// demo filled from being served as anything else: everyone knows its passwords.
func (a *App) seed(ctx context.Context, dir *directory.Service) error {
	if a.cfg.Demo {
		return dir.SeedDemo(ctx)
	}
	demo, err := dir.HoldsDemo(ctx)
	if err != nil || !demo {
		return err
	}
	if a.cfg.Database.URL != "" {
		return keyErrorf("database.url", "this database was filled by the demo, whose password is public; name another one, or add --demo")
	}
	return keyErrorf("data_dir", "%s was filled by the demo, whose password is public; name another folder, or add --demo", a.cfg.DataDir)
}

// randomKey makes a key of 256 bits.
func randomKey() ([]byte, error) {
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

// WriteOpenAPI writes the OpenAPI document of the HTTP API as JSON. The domains
// are only asked for their routes; nothing is opened.
func WriteOpenAPI(w io.Writer, version string) error {
	api := httpapi.New(httpapi.Config{Title: "commsd", Version: version})
	routeInfo(api, version, false)
	routePrograms(api, nil)
	new(directory.Service).Routes(api)
	new(chat.Service).Routes(api)
	new(meeting.Service).Routes(api)
	new(mail.Service).Routes(api)
	new(audit.Service).Routes(api)
	text, err := api.Huma.OpenAPI().MarshalJSON()
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}
