package bus

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell an operator whether hints flow.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	published, received, gaps               prometheus.Counter
	droppedSlow, droppedRedis, droppedFrame prometheus.Counter
	connected                               prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commsd_bus_dropped_events_total",
		Help: "Events lost to a slow subscriber, to Redis being away, or for being no event of ours.",
	}, []string{"reason"})
	m := &metrics{
		registerer:   reg,
		published:    counter("commsd_bus_published_events_total", "Events published by this node."),
		received:     counter("commsd_bus_received_events_total", "Events of other nodes."),
		gaps:         counter("commsd_bus_gaps_total", "Gaps told to subscribers, who then read SQL."),
		droppedSlow:  dropped.WithLabelValues("slow_subscriber"),
		droppedRedis: dropped.WithLabelValues("redis_away"),
		droppedFrame: dropped.WithLabelValues("malformed"),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "commsd_bus_connected", Help: "1 while Redis delivers events to this node; stays 0 without redis.url.",
		}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.published, m.received, m.gaps, dropped, m.connected} {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, errors.Join(errors.New("bus: register metrics"), err)
		}
		m.collectors = append(m.collectors, c)
	}
	return m, nil
}

func (m *metrics) unregister() {
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
	m.collectors = nil
}
