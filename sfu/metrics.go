package sfu

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"commsd/sfu/udpmux"
)

type metrics struct {
	rooms, participants              prometheus.Gauge
	received, forwarded              prometheus.Counter
	resent, nacks, plis, dataDropped prometheus.Counter
	soundDropped, panics, unreached  prometheus.Counter

	udp udpmux.Metrics
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "commsd_sfu_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_sfu_" + name, Help: help})
	}
	m := &metrics{
		rooms:        gauge("rooms", "Rooms with participants."),
		participants: gauge("participants", "Participants of all rooms."),
		received:     counter("packets_received_total", "RTP packets received from publishers."),
		forwarded:    counter("packets_forwarded_total", "RTP packets written to subscribers."),
		resent:       counter("packets_resent_total", "RTP packets sent again on a subscriber's NACK."),
		nacks:        counter("nacks_sent_total", "Packets asked of publishers again."),
		plis:         counter("key_frames_requested_total", "Key frames asked of publishers."),
		dataDropped:  counter("data_dropped_total", "Data packets not forwarded because a subscriber was too slow."),
		soundDropped: counter("sound_dropped_total", "Packets of sound not forwarded because their participant sends more than sound takes."),
		panics:       counter("panics_total", "Panics that were kept to the connection or the room they came from."),

		udp: udpmux.Metrics{
			Sends:     counter("udp_sends_total", "System calls that sent UDP packets; a frame's packets share one."),
			Unsent:    counter("udp_packets_unsent_total", "UDP packets that the kernel did not take."),
			Strangers: counter("udp_packets_unknown_total", "UDP packets that belong to no connection."),
			Overrun:   counter("udp_packets_overrun_total", "UDP packets dropped because their connection was read too slowly."),
		},
	}
	m.unreached = counter("unreached_total", "Participants who left without ever having had media, though they had the time.")
	if r == nil {
		return m, nil
	}
	var err error
	for _, c := range []prometheus.Collector{m.rooms, m.participants, m.received, m.forwarded, m.resent, m.nacks, m.plis, m.dataDropped, m.soundDropped, m.panics, m.unreached,
		m.udp.Sends, m.udp.Unsent, m.udp.Strangers, m.udp.Overrun} {
		err = errors.Join(err, r.Register(c))
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}
