package audit

import "github.com/prometheus/client_golang/prometheus"

type sequencerMetrics struct {
	appended prometheus.Counter
	errors   prometheus.Counter
	size     prometheus.Gauge
	tampered prometheus.Gauge
}

func newSequencerMetrics(r prometheus.Registerer) *sequencerMetrics {
	m := &sequencerMetrics{
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_audit_appended_total", Help: "Events that this node took into the audit tree.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_audit_append_errors_total", Help: "Looks for new events that failed.",
		}),
		size: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "commsd_audit_signed_leaves", Help: "Size of the tree that this node signed last.",
		}),
		tampered: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "commsd_audit_tampered", Help: "1 when the stored log does not continue the signed one: somebody changed it.",
		}),
	}
	if r != nil {
		r.MustRegister(m.appended, m.errors, m.size, m.tampered)
	}
	return m
}
