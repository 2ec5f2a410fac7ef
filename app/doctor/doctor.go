// Package doctor looks at an installation as its operator would, before or
// while it serves: configuration, storage, clock, certificates, ports, names.
// Each finding says what is wrong and the cure. It changes nothing but for
// probes that it takes away again.
//
// It must not know what the domains do beyond what a Census tells.
package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"commsd/app"
	"commsd/directory"
	"commsd/internal/sqldb"
)

// State is how grave a finding is.
type State int

// The states.
const (
	OK      State = iota
	Skipped       // not asked, and why
	Warning       // works, but somebody should know
	Failed        // does not work, or will not last
)

var stateWords = [...]string{OK: "ok", Skipped: "skip", Warning: "warn", Failed: "FAIL"}

// String returns the word that a line begins with.
func (s State) String() string { return stateWords[s] }

// Finding is the outcome of one check.
type Finding struct {
	Check string // what was looked at: "database", "port http.listen"
	State State
	Words string // what was found
	Cure  string // what to do; empty for OK and Skipped
}

// Config holds what New needs.
type Config struct {
	App      app.Config
	Resolver *net.Resolver    // nil: the machine's
	Roots    *x509.CertPool   // that the relay's certificate is checked against; nil: the system's
	Now      func() time.Time // nil: time.Now
	Timeout  time.Duration    // of one check; 0: 5 s
}

// Doctor runs the checks once.
type Doctor struct {
	cfg      app.Config
	resolver *net.Resolver
	roots    *x509.CertPool
	now      func() time.Time
	timeout  time.Duration

	report sqldb.Report // of the database; by checkDatabase
	census *directory.Census
	// The key of the relay's credentials, or why it was not read; by checkDatabase.
	turnKey []byte
	turnErr error
	nodes   nodes // by checkDatabase
	out     []Finding
}

// New returns a Doctor; it looks at nothing yet.
func New(cfg Config) *Doctor {
	d := &Doctor{cfg: cfg.App, resolver: cfg.Resolver, roots: cfg.Roots, now: cfg.Now, timeout: cfg.Timeout}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.timeout == 0 {
		d.timeout = 5 * time.Second
	}
	return d
}

// Examine runs every check and returns what it found, in a fixed order.
func (d *Doctor) Examine(ctx context.Context) []Finding {
	d.out = nil
	d.ok("configuration", "every key is understood")
	for _, check := range []func(context.Context){
		d.checkFolder, d.checkDatabase, d.checkKey, d.checkDirectory, d.checkRedis, d.checkBlobs,
		d.checkClock, d.checkDescriptors, d.checkCertificate, d.checkPorts, d.checkNodes, d.checkMedia, d.checkMediaTCP, d.checkTURN, d.checkNames,
	} {
		d.run(ctx, check)
	}
	return d.out
}

func (d *Doctor) run(ctx context.Context, check func(context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, 4*d.timeout)
	defer cancel()
	check(ctx)
}

func (d *Doctor) add(f Finding) { d.out = append(d.out, f) }

func (d *Doctor) ok(check, words string, args ...any) {
	d.add(Finding{Check: check, State: OK, Words: fmt.Sprintf(words, args...)})
}

func (d *Doctor) skip(check, words string, args ...any) {
	d.add(Finding{Check: check, State: Skipped, Words: fmt.Sprintf(words, args...)})
}

func (d *Doctor) warn(check, words, cure string) {
	d.add(Finding{Check: check, State: Warning, Words: words, Cure: cure})
}

func (d *Doctor) fail(check, words, cure string) {
	d.add(Finding{Check: check, State: Failed, Words: words, Cure: cure})
}

// failKey is fail with an error that reads "what is wrong: the cure", as those
// of the configuration and of the stores do.
func (d *Doctor) failKey(check string, err error) {
	words, cure := err.Error(), ""
	words = strings.TrimPrefix(words, "invalid: ")
	if i := strings.LastIndex(words, ": "); i > 0 {
		words, cure = words[:i], words[i+2:]
	} else if i := strings.LastIndex(words, "; "); i > 0 {
		words, cure = words[:i], words[i+2:]
	}
	d.fail(check, words, cure)
}

// Write prints findings, one a line, each cure below its finding, and tells
// whether any failed.
func Write(w io.Writer, findings []Finding) (failed bool, err error) {
	counts := map[State]int{}
	for _, f := range findings {
		counts[f.State]++
		if _, err := fmt.Fprintf(w, "%-4s  %s: %s\n", f.State, f.Check, f.Words); err != nil {
			return false, err
		}
		if f.Cure != "" {
			if _, err := fmt.Fprintf(w, "      → %s\n", f.Cure); err != nil {
				return false, err
			}
		}
	}
	_, err = fmt.Fprintf(w, "\nchecks: %d, warnings: %d, failures: %d\n", len(findings), counts[Warning], counts[Failed])
	return counts[Failed] > 0, err
}
