package app

import (
	"context"

	"commsd/audit"
	"commsd/chat"
	"commsd/directory"
	"commsd/internal/httpapi"
	"commsd/meeting"
	"commsd/sfu"
	"commsd/signaling"
)

// openMedia binds the media ports, before anything is made on disk.
func (a *App) openMedia(n *node) error {
	forwarder, err := sfu.New(sfu.Config{
		UDPListen: a.cfg.Media.UDPListen, TCPListen: a.cfg.Media.TCPListen, Advertise: a.cfg.Media.Advertise,
		MaxParticipants: a.cfg.Media.MaxParticipants, MachineAddresses: a.cfg.Demo, Log: a.log, Registerer: a.reg,
	})
	if err != nil {
		return err
	}
	if err := forwarder.Listen(); err != nil {
		return err
	}
	n.media = forwarder
	return nil
}

// releaseMedia gives back the ports of a node that never ran.
func (n *node) releaseMedia() {
	if n.media == nil {
		return
	}
	ended, end := context.WithCancel(context.Background())
	end()
	_ = n.media.Run(ended) // what stopped the start is the error to tell
}

// constructMeetings makes meetings and the signalling that carries them:
// the gate first, which the media server asks; then signaling, which the
// meetings ask who is inside.
func (a *App) constructMeetings(ctx context.Context, n *node, api *httpapi.API, auditLog *audit.Log, dir *directory.Service, messages *chat.Service) error {
	gate, err := meeting.NewGate(meeting.GateConfig{
		DB: n.db, Audit: auditLog, Sessions: dir, Secrets: n.secret, Log: a.log, Now: a.opts.Now,
	})
	if err != nil {
		return err
	}
	secret, err := gate.Secret(ctx)
	if err != nil {
		return err
	}
	operators := a.cfg.Media.APIKeys
	rooms, err := signaling.New(signaling.Config{
		Keys: func(key string) ([]byte, bool) {
			if key == meeting.APIKey {
				return secret, true
			}
			operator, ok := operators[key]
			return []byte(operator), ok
		},
		Admission: gate, SFU: n.media, Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
	if err != nil {
		return err
	}
	meetings, err := meeting.New(meeting.Config{
		DB: n.db, Audit: auditLog, Gate: gate, People: dir, Notifier: messages, Rooms: rooms, PublicURL: a.cfg.HTTP.PublicURL,
		Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
	if err != nil {
		return err
	}
	n.cores = append(n.cores, service{"media", n.media.Run})
	n.fronts = append(n.fronts, service{"signaling", rooms.Run}, service{"meeting", meetings.Run})
	n.revokes = append(n.revokes, rooms.Revoke)
	n.drains = append(n.drains, rooms.Drain)
	rooms.Routes(api)
	meetings.Routes(api)
	return nil
}
