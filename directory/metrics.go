package directory

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	signIns    *prometheus.CounterVec
	hashes     prometheus.Counter
	hashQueue  prometheus.Gauge
	cacheHits  prometheus.Counter
	cacheMiss  prometheus.Counter
	revoked    prometheus.Counter
	pollErrors prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "commsd_directory_sign_ins_total",
			Help: "Attempts to sign in by password, by way in (web, smtp, imap) and outcome (ok, failed, limited).",
		}, []string{"scope", "outcome"}),
		hashes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_directory_password_hashes_total", Help: "Password hashes computed.",
		}),
		hashQueue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "commsd_directory_password_hash_queue", Help: "Sign-ins that wait for a password hash.",
		}),
		cacheHits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_directory_session_cache_hits_total", Help: "Sessions found in memory.",
		}),
		cacheMiss: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_directory_session_cache_misses_total", Help: "Sessions looked up in the database.",
		}),
		revoked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_directory_revocations_total", Help: "Revocations read from the log.",
		}),
		pollErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "commsd_directory_revocation_poll_errors_total", Help: "Failed reads of the revocation log.",
		}),
	}
	if r != nil {
		r.MustRegister(m.signIns, m.hashes, m.hashQueue, m.cacheHits, m.cacheMiss, m.revoked, m.pollErrors)
	}
	return m
}
