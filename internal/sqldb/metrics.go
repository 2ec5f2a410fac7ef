package sqldb

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the numbers an operator watches: how long transactions take, how
// well writes share commits, and how often PostgreSQL made us run one again.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector

	reads, writes             prometheus.Observer
	failedReads, failedWrites prometheus.Counter
	commits                   prometheus.Histogram
	groupSize                 prometheus.Histogram
	retries                   prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	seconds := prometheus.ExponentialBuckets(0.0001, 4, 9) // 0.1 ms to 6.5 s
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "commsd_sqldb_transaction_seconds", Buckets: seconds,
		Help: "Time from the call of Read or Write to its return, waiting included.",
	}, []string{"kind"})
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "commsd_sqldb_failed_transactions_total",
		Help: "Transactions that returned an error, refusals by their own function included.",
	}, []string{"kind"})
	m := &metrics{
		registerer:   reg,
		reads:        duration.WithLabelValues("read"),
		writes:       duration.WithLabelValues("write"),
		failedReads:  failed.WithLabelValues("read"),
		failedWrites: failed.WithLabelValues("write"),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "commsd_sqldb_commit_seconds", Buckets: seconds,
			Help: "Time of the commit alone, which waits for the disk.",
		}),
		groupSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "commsd_sqldb_group_writes", Buckets: prometheus.ExponentialBuckets(1, 2, 9),
			Help: "Writes that shared one commit of SQLite.",
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_sqldb_retries_total",
			Help: "Writes that PostgreSQL made run again after a serialization failure or a deadlock.",
		}),
	}
	all := []prometheus.Collector{duration, failed, m.commits, m.groupSize, m.retries}
	if reg == nil {
		return m, nil
	}
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			m.unregister()
			return nil, errors.Join(errors.New("sqldb: register metrics"), err)
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

func (m *metrics) observe(o prometheus.Observer, start time.Time, err error) {
	o.Observe(time.Since(start).Seconds())
	switch {
	case err == nil:
	case o == m.reads:
		m.failedReads.Inc()
	default:
		m.failedWrites.Inc()
	}
}
