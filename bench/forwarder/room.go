package main

import (
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"
)

// server holds the rooms.
type server struct {
	api *webrtc.API

	mu    sync.Mutex
	rooms map[string]*room // guarded by mu; they stay until the process ends
}

// room is who is in it and what is published.
type room struct {
	mu     sync.Mutex
	people map[*peer]bool // guarded by mu
	tracks []*track       // guarded by mu
}

// track is a published track.
type track struct {
	owner *peer
	local *webrtc.TrackLocalStaticRTP
	ask   func() // for a key frame
}

func (s *server) room(name string) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rooms[name]
	if r == nil {
		r = &room{people: make(map[*peer]bool)}
		s.rooms[name] = r
	}
	return r
}

// enter gives p what is published.
func (r *room) enter(p *peer) {
	r.mu.Lock()
	r.people[p] = true
	tracks := append([]*track(nil), r.tracks...)
	r.mu.Unlock()
	p.subscribe(tracks...)
}

// leave takes p and what it published away. Others keep a track that ends.
func (r *room) leave(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.people, p)
	kept := r.tracks[:0]
	for _, t := range r.tracks {
		if t.owner != p {
			kept = append(kept, t)
		}
	}
	r.tracks = kept
}

// publish gives t to everybody else.
func (r *room) publish(t *track) {
	r.mu.Lock()
	r.tracks = append(r.tracks, t)
	others := make([]*peer, 0, len(r.people))
	for p := range r.people {
		if p != t.owner {
			others = append(others, p)
		}
	}
	r.mu.Unlock()
	for _, p := range others {
		p.subscribe(t)
	}
}

// arrived forwards what a publisher sends, until it ends.
func (p *peer) arrived(pc *webrtc.PeerConnection, remote *webrtc.TrackRemote) {
	buf := make([]byte, 1500)
	if rid := remote.RID(); rid != "" && rid != p.highest.Load() {
		for {
			if _, _, err := remote.Read(buf); err != nil {
				return
			}
		}
	}
	local, err := webrtc.NewTrackLocalStaticRTP(remote.Codec().RTPCodecCapability, p.sid+remote.ID(), p.sid)
	if err != nil {
		return
	}
	var mu sync.Mutex
	var last time.Time
	p.room.publish(&track{owner: p, local: local, ask: func() {
		mu.Lock()
		defer mu.Unlock()
		if remote.Kind() == webrtc.RTPCodecTypeVideo && time.Since(last) > 500*time.Millisecond {
			last = time.Now()
			_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(remote.SSRC())}}) // it may have left
		}
	}})
	for {
		n, _, err := remote.Read(buf)
		if err != nil {
			return
		}
		_, _ = local.Write(buf[:n]) // the error of one subscriber is not another's
	}
}

// watch passes a subscriber's wishes for key frames on, until sending ends.
func watch(s *webrtc.RTPSender, t *track) {
	t.ask()
	for {
		packets, _, err := s.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				t.ask()
			}
		}
	}
}
