package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"

	"commsd/audit"
	"commsd/chat"
	"commsd/directory"
	"commsd/internal/httpapi"
	"commsd/internal/sqldb"
	"commsd/internal/tlscert"
	"commsd/meeting"
	"commsd/sfu"
	"commsd/signaling"
	"commsd/signaling/owner"
)

// openMedia binds the media ports, before anything is made on disk.
func (a *App) openMedia(n *node) error {
	forwarder, err := sfu.New(sfu.Config{
		UDPListen: a.cfg.Media.UDPListen, TCPListen: a.cfg.Media.TCPListen, Advertise: a.cfg.Media.Advertise, Relayed: a.cfg.TURN.On(),
		UDPSockets: a.cfg.Media.UDPSockets, SendHold: cmp.Or(a.cfg.Media.SendHold, -1), FanOut: cmp.Or(a.cfg.Media.FanOut, -1), // 0 is the default there
		MaxParticipants: a.cfg.Media.MaxParticipants, MaxRooms: a.cfg.Media.MaxRooms, UpdateInterval: a.cfg.Media.UpdateInterval, ReplayBytes: cmp.Or(a.cfg.Media.ReplayBytes, -1),
		LimitTCP: a.limitMediaTCP, MaxVoices: a.cfg.Media.MaxVoices, MachineAddresses: a.cfg.Demo, Log: a.log, Registerer: a.reg,
	})
	if err != nil {
		return err
	}
	if err := forwarder.Listen(); err != nil {
		if port := new(sfu.ListenError); errors.As(err, &port) {
			return listenError(port.Key, port.Address, port.Err)
		}
		return err
	}
	n.media = forwarder
	if a.cfg.mediaStaysHere() {
		a.log.Warn("nobody on another machine can be in a meeting: media is served on loopback alone",
			"cure", "set media.udp_listen and media.tcp_listen to an address that browsers reach, such as 0.0.0.0:7882 and 0.0.0.0:7881")
	}
	udp, tcp := forwarder.Ports()
	if len(udp) > 0 {
		n.addrs["media.udp_listen"] = net.UDPAddrFromAddrPort(udp[0])
	}
	if len(tcp) > 0 {
		n.addrs["media.tcp_listen"] = net.TCPAddrFromAddrPort(tcp[0])
	}
	return nil
}

// mediaStaysHere tells whether pages are for other machines and media is not:
// the defaults of media, left as they are.
func (c *Config) mediaStaysHere() bool {
	here := func(listen string) bool { return listen == "" || loopback(listen) }
	return !c.Demo && !loopback(net.JoinHostPort(c.publicHost(), "0")) && !c.TURN.On() && here(c.Media.UDPListen) && here(c.Media.TCPListen)
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
func (a *App) constructMeetings(ctx context.Context, n *node, api *httpapi.API, auditLog *audit.Log, dir *directory.Service, messages *chat.Service, listeners map[string]net.Listener) error {
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
	own, peers, err := a.openCluster(ctx, n)
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
		Admission: gate, SFU: n.media, TURN: n.relay, Owner: own, Peers: peers, Log: a.log, Registerer: a.reg, Now: a.opts.Now,
		OperatorRoom: gate.OperatorRoom, CallsPerSecond: a.cfg.Media.CallsPerSecond,
		Audit: func(ctx context.Context, e audit.Event) error {
			if e.Outcome == audit.Denied {
				return auditLog.Refused(ctx, n.db, e, "meeting")
			}
			return n.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return auditLog.Record(ctx, tx, e) })
		},
	})
	if err != nil {
		return err
	}
	n.rooms = rooms
	meetings, err := meeting.New(meeting.Config{
		DB: n.db, Audit: auditLog, Gate: gate, People: dir, Notifier: messages, Rooms: rooms, PublicURL: a.cfg.HTTP.PublicURL,
		Log: a.log, Registerer: a.reg, Now: a.opts.Now,
	})
	if err != nil {
		return err
	}
	n.cores = append(n.cores, service{"media", n.media.Run})
	if n.relay != nil {
		n.cores = append(n.cores, service{"turn", n.relay.Run})
	}
	n.fronts = append(n.fronts, service{"signaling", rooms.Run}, service{"meeting", meetings.Run})
	n.revokes = append(n.revokes, rooms.Revoke)
	n.drains = append(n.drains, rooms.Drain)
	if ln := listeners["cluster.listen"]; ln != nil {
		n.cluster = newServer(recoverPanics(rooms.NodeHandler(api.Handler()), a.log), a.log)
		n.cluster.TLSConfig = peers.Clone() // the server writes into it
		n.fronts = append(n.fronts, service{"cluster", func(context.Context) error { return n.cluster.ServeTLS(a.limitCluster(ln, n.connections), "", "") }})
	}
	rooms.Routes(api)
	meetings.Routes(api)
	return nil
}

// openCluster makes what the nodes of one PostgreSQL share their rooms by;
// without one this node is alone, and it makes nothing.
func (a *App) openCluster(ctx context.Context, n *node) (*owner.Owner, *tls.Config, error) {
	if n.db.Dialect() != sqldb.PostgreSQL {
		return nil, nil, nil
	}
	address := a.cfg.Cluster.Advertise
	if address == "" && n.addrs["cluster.listen"] != nil {
		address = n.addrs["cluster.listen"].String() // with the port that the kernel chose
	}
	if address == "" {
		a.log.Info("other nodes on this database, if there are any, cannot reach meetings of this one", "cure", "set cluster.listen on every node")
	}
	beats, err := sqldb.Open(ctx, sqldb.Config{URL: a.cfg.Database.URL, MaxConns: 1, Beside: true, Log: a.log})
	if err != nil {
		return nil, nil, err
	}
	n.closers = append(n.closers, beats.Close)
	own, err := owner.New(owner.Config{DB: n.db, Beats: beats, Address: address, Log: a.log, Registerer: a.reg})
	if err != nil {
		return nil, nil, err
	}
	peers, err := tlscert.Peers(ctx, n.secret)
	return own, peers, err
}
