package chat

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	sockets   prometheus.Gauge
	live      prometheus.Gauge
	closed    *prometheus.CounterVec
	sends     *prometheus.CounterVec
	group     prometheus.Histogram
	delivered prometheus.Counter
	catchUps  prometheus.Counter
	lagging   prometheus.Counter
	fromSQL   prometheus.Counter
	fromRing  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		registerer: reg,
		sockets:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "commsd_chat_sockets", Help: "Open chat sockets."}),
		live:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "commsd_chat_live_conversations", Help: "Conversations with a member on this node."}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_chat_closed_sockets_total",
			Help: "Chat sockets that ended, by our close code, client (it closed) or broken."}, []string{"code"}),
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "commsd_chat_sends_total",
			Help: "Messages sent, by result: stored, repeated (known client id), or the error's code."}, []string{"result"}),
		group: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "commsd_chat_group_sends",
			Help: "Messages that shared one transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_chat_delivered_events_total", Help: "Events queued to sockets."}),
		catchUps: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_chat_catch_ups_total",
			Help: "Times this node read SQL because the bus had lost or reordered events."}),
		lagging:  prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_chat_lagging_total", Help: "Full queues that were shed."}),
		fromSQL:  prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_chat_pulls_from_sql_total", Help: "Pulls answered from SQL."}),
		fromRing: prometheus.NewCounter(prometheus.CounterOpts{Name: "commsd_chat_pulls_from_memory_total", Help: "Pulls answered from memory."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.sockets, m.live, m.closed, m.sends, m.group, m.delivered, m.catchUps, m.lagging, m.fromSQL, m.fromRing} {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, errors.Join(errors.New("chat: register metrics"), err)
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
