package signaling

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	joins    *prometheus.CounterVec // by result
	messages prometheus.Counter

	forwarded *prometheus.CounterVec // by result
	calls     *prometheus.CounterVec // of the room service, by method and result
}

// newMetrics registers with r, which may be nil.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		joins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_signaling_joins_total", Help: "Attempts to join or resume, by result.",
		}, []string{"result"}),
		messages: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_signaling_messages_received_total", Help: "Messages received from clients.",
		}),
		forwarded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_signaling_forwarded_total", Help: "Requests and sockets handed on to the node that has the room, by result.",
		}, []string{"result"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_signaling_room_calls_total", Help: "Calls of the room service, by method and result.",
		}, []string{"method", "result"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.joins, m.messages, m.forwarded, m.calls} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
