package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"commsd/app"
	"commsd/app/apptest"
	"commsd/app/doctor"
	"commsd/internal/sqldb"
	"commsd/internal/testengine"
)

func TestMain(m *testing.M) { os.Exit(testengine.Main(m)) }

// examine returns the findings by their check.
func examine(t *testing.T, cfg app.Config, change ...func(*doctor.Config)) map[string]doctor.Finding {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	dc := doctor.Config{App: cfg}
	for _, c := range change {
		c(&dc)
	}
	out := map[string]doctor.Finding{}
	for _, f := range doctor.New(dc).Examine(t.Context()) {
		out[f.Check] = f
		if (f.State == doctor.Warning || f.State == doctor.Failed) && f.Cure == "" {
			t.Errorf("%s: %s, and no cure", f.Check, f.Words)
		}
	}
	return out
}

func want(t *testing.T, found map[string]doctor.Finding, check string, state doctor.State, words string) {
	t.Helper()
	f, ok := found[check]
	if !ok {
		t.Errorf("%s was not looked at", check)
		return
	}
	if f.State != state || !strings.Contains(f.Words+" "+f.Cure, words) {
		t.Errorf("%s: %s %q, cure %q; want %s, %q", check, f.State, f.Words, f.Cure, state, words)
	}
}

func TestBeforeTheFirstStart(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	found := examine(t, cfg)
	want(t, found, "database", doctor.Skipped, "first start makes it")
	want(t, found, "data folder", doctor.Skipped, "first start makes it")
	want(t, found, "secret key", doctor.Skipped, "first start makes it")
	want(t, found, "port http.listen", doctor.OK, "free")
	if _, err := os.Stat(cfg.DataDir); err == nil {
		t.Error("looking made the data folder")
	}
}

func TestBesideARunningServer(t *testing.T) {
	n := apptest.Start(t)
	cfg := n.Config
	cfg.HTTP.Listen, cfg.Admin.Listen = n.Addr("http.listen").String(), n.Addr("admin.listen").String()
	found := examine(t, cfg)
	want(t, found, "database", doctor.OK, "sqlite")
	want(t, found, "administrators", doctor.OK, "1 accounts administer")
	want(t, found, "port http.listen", doctor.OK, "served")
	want(t, found, "secret key", doctor.OK, "secret.key")
	want(t, found, "data folder", doctor.OK, "written to")
	cfg.Demo = false
	want(t, examine(t, cfg), "administrators", doctor.Failed, "demo")
}

func TestWhatIsWrongOnTheDisk(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Demo = false
	db, err := sqldb.Open(t.Context(), sqldb.Config{DataDir: cfg.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	found := examine(t, cfg)
	want(t, found, "secret key", doctor.Failed, "restore it from the backup")
	want(t, found, "administrators", doctor.Failed, "commsd admin create")

	key := filepath.Join(cfg.DataDir, "secret.key")
	if err := os.WriteFile(key, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{key: 0o644, cfg.DataDir: 0o755} {
		if err := os.Chmod(path, mode); err != nil { //nolint:gosec // wrong on purpose
			t.Fatal(err)
		}
	}
	found = examine(t, cfg)
	want(t, found, "secret key", doctor.Failed, "chmod 600 "+key)
	want(t, found, "data folder", doctor.Warning, "chmod 700 "+cfg.DataDir)

	db, err = sqldb.Open(t.Context(), sqldb.Config{DataDir: cfg.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO sqldb_migration (version_id, is_applied) VALUES (99999, TRUE)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, examine(t, cfg), "database", doctor.Failed, "newer commsd")

	file := filepath.Join(cfg.DataDir, "commsd.db")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 8192; i < len(text); i++ {
		text[i] = 0xa5
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := examine(t, cfg)["database"]; f.State != doctor.Failed {
		t.Errorf("damage: %+v", f)
	}
}

func TestPorts(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := apptest.Config(t.TempDir())
	cfg.Demo = false
	cfg.Mail.IMAPListen = ln.Addr().String()
	cfg.Mail.SMTPListen = "192.0.2.1:25"
	found := examine(t, cfg)
	want(t, found, "port mail.imap_listen", doctor.Failed, "in use by another program")
	want(t, found, "port mail.smtp_listen", doctor.Failed, "no address of this machine")
}

func TestPostgresAndItsClock(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Database.URL = testengine.Postgres(t)
	found := examine(t, cfg)
	want(t, found, "database", doctor.Warning, "schema 0")
	want(t, found, "redis", doctor.Skipped, "one node")
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: cfg.Database.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for off, state := range map[time.Duration]doctor.State{3 * time.Second: doctor.Warning, -time.Minute: doctor.Failed} {
		found = examine(t, cfg, func(c *doctor.Config) { c.Now = func() time.Time { return time.Now().Add(off) } })
		want(t, found, "database", doctor.OK, "postgresql")
		want(t, found, "clock", state, "differs from the database's")
	}
	cfg.Redis.URL = testengine.Redis(t).URL()
	want(t, examine(t, cfg), "redis", doctor.OK, "answered")
	cfg.Redis.URL = "redis://127.0.0.1:1"
	cfg.Database.URL = "postgres://nobody:a-secret@127.0.0.1:1/none"
	found = examine(t, cfg)
	want(t, found, "redis", doctor.Failed, "start it")
	want(t, found, "database", doctor.Failed, "start it")
	for _, f := range found {
		if strings.Contains(f.Words+f.Cure, "a-secret") {
			t.Errorf("%s tells the password", f.Check)
		}
	}
}

func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, until time.Time) (cert, key string) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
		if err != nil {
			t.Fatal(err)
		}
		keyDER, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		cert, key = filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
		for path, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
			if err := os.WriteFile(path, pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return cert, key
	}
	cfg := apptest.Config(t.TempDir())
	cfg.Demo = false
	cfg.HTTP.PublicURL = "http://comms.test"
	want(t, examine(t, cfg), "certificate", doctor.Failed, "in clear")
	cfg.HTTP.PublicURL = "https://comms.test"
	now := time.Now()
	cfg.HTTP.TLS.Cert, cfg.HTTP.TLS.Key = write("comms.test", now.AddDate(0, 6, 0))
	want(t, examine(t, cfg), "certificate", doctor.OK, "valid until")
	write("comms.test", now.AddDate(0, 0, 9))
	want(t, examine(t, cfg), "certificate", doctor.Warning, "expires in 8 days")
	write("comms.test", now.AddDate(0, 0, -1))
	want(t, examine(t, cfg), "certificate", doctor.Failed, "expired on")
	write("other.test", now.AddDate(0, 6, 0))
	want(t, examine(t, cfg), "certificate's name", doctor.Warning, "not made out to")
}

// names is a name server of a few records: "type name" to values.
func names(t *testing.T, records map[string][]string) *net.Resolver {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { pc.Close(); <-ended })
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if out := answer(buf[:n], records); out != nil {
				_, _ = pc.WriteTo(out, from) // the client asks again
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

func answer(raw []byte, records map[string][]string) []byte {
	var q dnsmessage.Message
	if q.Unpack(raw) != nil || len(q.Questions) != 1 {
		return nil
	}
	one := q.Questions[0]
	a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true}, Questions: q.Questions}
	known := false
	for key := range records {
		known = known || strings.HasSuffix(key, " "+strings.ToLower(one.Name.String()))
	}
	if !known {
		a.RCode = dnsmessage.RCodeNameError
	}
	kind := strings.TrimPrefix(one.Type.String(), "Type")
	for _, v := range records[kind+" "+strings.ToLower(one.Name.String())] {
		h := dnsmessage.ResourceHeader{Name: one.Name, Type: one.Type, Class: one.Class, TTL: 60}
		var body dnsmessage.ResourceBody
		switch one.Type { //nolint:exhaustive // the three that are asked for
		case dnsmessage.TypeA:
			body = &dnsmessage.AResource{A: netip.MustParseAddr(v).As4()}
		case dnsmessage.TypeMX:
			body = &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(v)}
		case dnsmessage.TypeTXT:
			body = &dnsmessage.TXTResource{TXT: []string{v}}
		}
		a.Answers = append(a.Answers, dnsmessage.Resource{Header: h, Body: body})
	}
	out, err := a.Pack()
	if err != nil {
		return nil
	}
	return out
}

func TestNames(t *testing.T) {
	cfg := apptest.Config(t.TempDir())
	cfg.Demo = false
	cfg.HTTP.PublicURL, cfg.Domain = "http://comms.moha.gov.vn", "moha.gov.vn"
	good := map[string][]string{
		"A comms.moha.gov.vn.": {"192.0.2.9"}, "MX moha.gov.vn.": {"mx.moha.gov.vn."}, "A mx.moha.gov.vn.": {"192.0.2.9"},
		"TXT moha.gov.vn.": {"v=spf1 mx -all", "site-verification=1"}, "TXT _dmarc.moha.gov.vn.": {"v=DMARC1; p=reject"},
	}
	look := func(records map[string][]string) map[string]doctor.Finding {
		return examine(t, cfg, func(c *doctor.Config) { c.Resolver = names(t, records) })
	}
	found := look(good)
	want(t, found, "name of the pages", doctor.OK, "192.0.2.9")
	want(t, found, "mail for moha.gov.vn", doctor.OK, "mx.moha.gov.vn")
	want(t, found, "SPF of moha.gov.vn", doctor.OK, "")
	want(t, found, "DMARC of moha.gov.vn", doctor.OK, "")
	change := func(key string, values ...string) map[string][]string {
		out := map[string][]string{}
		for k, v := range good {
			out[k] = v
		}
		if out[key] = values; values == nil {
			delete(out, key)
		}
		return out
	}
	want(t, look(change("A comms.moha.gov.vn.")), "name of the pages", doctor.Failed, "has no address")
	want(t, look(change("MX moha.gov.vn.")), "mail for moha.gov.vn", doctor.Failed, "no MX record")
	want(t, look(change("A mx.moha.gov.vn.")), "mail for moha.gov.vn", doctor.Warning, "not this machine")
	want(t, look(change("A mx.moha.gov.vn.", "192.0.2.77")), "mail for moha.gov.vn", doctor.Warning, "not this machine")
	want(t, look(change("TXT _dmarc.moha.gov.vn.")), "DMARC of moha.gov.vn", doctor.Warning, `IN TXT "v=DMARC1`)
	want(t, look(change("TXT moha.gov.vn.", "v=spf1 -all", "v=spf1 mx -all")), "SPF of moha.gov.vn", doctor.Failed, "there are 2")
	cfg.Domain = "g2g.example"
	want(t, look(good), "mail for g2g.example", doctor.Skipped, "reserved")
}

func TestWrite(t *testing.T) {
	var b strings.Builder
	failed, err := doctor.Write(&b, []doctor.Finding{
		{Check: "a", State: doctor.OK, Words: "sound"}, {Check: "b", State: doctor.Failed, Words: "ill", Cure: "rest"},
	})
	if err != nil || !failed {
		t.Errorf("failed %v, %v", failed, err)
	}
	if want := "ok    a: sound\nFAIL  b: ill\n      → rest\n\nchecks: 2, warnings: 0, failures: 1\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// Whether browsers elsewhere reach the media is told from the addresses: of the
// defaults nobody thinks.
func TestMediaAddresses(t *testing.T) {
	for _, c := range []struct {
		about    string
		change   func(*app.Config)
		udp, tcp doctor.State
		words    string // of what is found of UDP
	}{
		{"on this machine alone", func(*app.Config) {}, doctor.OK, doctor.OK, "127.0.0.1"},
		{"the defaults and pages for all", func(c *app.Config) { c.HTTP.PublicURL = "https://comms.example" }, doctor.Failed, doctor.Warning, "media.udp_listen"},
		{"told by another address, but listened on none", func(c *app.Config) {
			c.HTTP.PublicURL, c.Media.Advertise = "https://comms.example", []string{"203.0.113.7"}
		}, doctor.Failed, doctor.Warning, "media.udp_listen"},
		{"behind the relay", func(c *app.Config) {
			c.HTTP.PublicURL, c.TURN.UDPListen = "https://comms.example", "127.0.0.1:0"
		}, doctor.Warning, doctor.Warning, "through the relay"},
		{"behind NAT", func(c *app.Config) {
			c.HTTP.PublicURL, c.Media.Advertise = "https://comms.example", []string{"203.0.113.7"}
			c.Media.UDPListen, c.Media.TCPListen = "0.0.0.0:0", "0.0.0.0:0"
		}, doctor.OK, doctor.OK, "203.0.113.7"},
		{"without TCP", func(c *app.Config) { c.Media.TCPListen = "" }, doctor.OK, doctor.Skipped, "127.0.0.1"},
		{"without UDP", func(c *app.Config) { c.Media.UDPListen = "" }, doctor.Warning, doctor.OK, "media flows over TCP alone"},
		{"without UDP, with the relay", func(c *app.Config) {
			c.Media.UDPListen, c.TURN.UDPListen = "", "127.0.0.1:0"
		}, doctor.Warning, doctor.OK, "media flows over TCP and by the relay alone"},
	} {
		t.Run(c.about, func(t *testing.T) {
			cfg := apptest.Config(t.TempDir())
			c.change(&cfg)
			found := examine(t, cfg)
			want(t, found, "media", c.udp, c.words)
			want(t, found, "media over TCP", c.tcp, "")
		})
	}
}

// Nodes on one PostgreSQL must reach each other: which of them does not is
// said, and why.
func TestOtherNodes(t *testing.T) {
	url, key := testengine.Postgres(t), filepath.Join(t.TempDir(), "secret.key")
	node := func(c *app.Config) {
		c.Database.URL, c.SecretKeyFile, c.Cluster.Listen = url, key, "127.0.0.1:0"
	}
	settings := func(n *apptest.Node) app.Config {
		cfg := n.Config
		cfg.HTTP.Listen, cfg.Admin.Listen, cfg.Cluster.Listen = n.Addr("http.listen").String(), n.Addr("admin.listen").String(), n.Addr("cluster.listen").String()
		return cfg
	}
	a := apptest.Start(t, node)
	cfg := settings(a)
	eventually(t, func() bool { return examine(t, cfg)["other nodes"].State == doctor.Skipped })
	b := apptest.Start(t, node)
	there := "node " + b.Addr("cluster.listen").String()
	eventually(t, func() bool { return examine(t, cfg)[there].State == doctor.OK })
	found := examine(t, cfg)
	want(t, found, there, doctor.OK, "answers")
	if _, asked := found["other nodes"]; asked {
		t.Error("it is said that there is none")
	}
	// One that takes no part is told so.
	hidden := cfg
	hidden.Cluster.Listen = ""
	want(t, examine(t, hidden), "other nodes", doctor.Failed, "cluster.listen")
	// One whose address leads nowhere is named.
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	c := apptest.Start(t, func(c *app.Config) { node(c); c.Cluster.Advertise = elsewhere.Addr().String() })
	elsewhere.Close()
	gone := "node " + c.Config.Cluster.Advertise
	eventually(t, func() bool { return examine(t, cfg)[gone].State == doctor.Failed })
	want(t, examine(t, cfg), gone, doctor.Failed, "secret_key_file")
}

// eventually waits for what a node does by itself soon after its start.
func eventually(t *testing.T, is func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("not in time")
		}
	}
}
