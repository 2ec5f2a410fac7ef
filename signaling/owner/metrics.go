package owner

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	owned     prometheus.Gauge
	takeovers prometheus.Counter
	lost      prometheus.Counter
	failures  prometheus.Counter
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		owned: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "commsd_signaling_rooms_owned", Help: "Rooms that live on this node, of several nodes.",
		}),
		takeovers: counter("commsd_signaling_takeovers_total", "Rooms taken from a node that died."),
		lost:      counter("commsd_signaling_leases_lost_total", "Times that this node lost its rooms because it could not renew its lease."),
		failures:  counter("commsd_signaling_lease_failures_total", "Attempts to renew the lease that failed."),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.owned, m.takeovers, m.lost, m.failures} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
