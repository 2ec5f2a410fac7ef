package turn

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	allocations, linked                 prometheus.Gauge
	toMedia, fromMedia, dropped, panics prometheus.Counter
	refused                             *prometheus.CounterVec
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_turn_" + name, Help: help})
	}
	m := &metrics{
		allocations: prometheus.NewGauge(prometheus.GaugeOpts{Name: "commsd_turn_allocations", Help: "Relayed addresses that stand."}),
		linked:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "commsd_turn_linked_clients", Help: "Clients that are handed on to another node's relay, where their places are."}),
		toMedia:     counter("to_media_bytes_total", "Bytes relayed from clients to media."),
		fromMedia:   counter("from_media_bytes_total", "Bytes relayed from media to clients."),
		dropped:     counter("dropped_total", "Packets dropped because their user is over its rate."),
		panics:      counter("panics_total", "Panics while serving a message; each is a bug."),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_turn_refused_total", Help: "Requests refused, by reason: peer is an address that is not our media.",
		}, []string{"reason"}),
	}
	if r == nil {
		return m, nil
	}
	var err error
	for _, c := range []prometheus.Collector{m.allocations, m.linked, m.toMedia, m.fromMedia, m.dropped, m.panics, m.refused} {
		err = errors.Join(err, r.Register(c))
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}
