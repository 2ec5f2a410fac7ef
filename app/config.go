package app

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"commsd/audit"
	"commsd/chat"
	"commsd/directory"
	"commsd/meeting"
)

// Config is the whole configuration of one node, as the YAML file spells it.
// docs/configuration.md explains each key; a test keeps the two together.
type Config struct {
	Domain        string           `yaml:"domain"`          // mail domain of the installation itself
	DataDir       string           `yaml:"data_dir"`        // SQLite, blobs and the key file live here
	SecretKeyFile string           `yaml:"secret_key_file"` // empty: data_dir/secret.key
	HTTP          HTTPConfig       `yaml:"http"`
	Admin         AdminConfig      `yaml:"admin"`
	Database      DatabaseConfig   `yaml:"database"`
	Redis         RedisConfig      `yaml:"redis"`
	Blobs         BlobsConfig      `yaml:"blobs"`
	Cluster       ClusterConfig    `yaml:"cluster"`
	Chat          ChatConfig       `yaml:"chat"`
	Media         MediaConfig      `yaml:"media"`
	TURN          TURNConfig       `yaml:"turn"`
	Mail          MailConfig       `yaml:"mail"`
	LDAP          LDAPConfig       `yaml:"ldap"`
	SignIn        SignInConfig     `yaml:"sign_in"`
	Session       SessionConfig    `yaml:"session"`
	Import        ImportConfig     `yaml:"import"`
	Delegation    DelegationConfig `yaml:"delegation"`
	Audit         AuditConfig      `yaml:"audit"`
	Log           LogConfig        `yaml:"log"`
	Stop          StopConfig       `yaml:"stop"`

	// Demo fills an empty directory with the demo people and keeps mail for
	// outside on the machine. It is a flag, never a key of the file.
	Demo bool `yaml:"-"`
}

// HTTPConfig says where pages, API and sockets are served.
type HTTPConfig struct {
	Listen         string    `yaml:"listen"`
	PublicURL      string    `yaml:"public_url"` // as browsers reach it; scheme, host and port only
	TLS            TLSConfig `yaml:"tls"`
	TrustedProxies []string  `yaml:"trusted_proxies"` // addresses or networks whose X-Forwarded-For is believed
	MaxBodyBytes   int64     `yaml:"max_body_bytes"`  // of one JSON request

	MaxConnections           int `yaml:"max_connections"`             // in all, half of them of other nodes where there is cluster.listen; 0: half of the file descriptors that the process may open
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"` // trusted proxies are exempt
}

// TLSConfig names a certificate in PEM files. Both or neither.
type TLSConfig struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	ACME bool   `yaml:"acme"`
}

// AdminConfig is the listener for health, metrics and pprof.
type AdminConfig struct {
	Listen string `yaml:"listen"`
}

// DatabaseConfig selects the SQL engine.
type DatabaseConfig struct {
	URL            string `yaml:"url"`             // empty: SQLite in data_dir; postgres://…
	MaxConnections int    `yaml:"max_connections"` // to PostgreSQL, or readers of SQLite; 0: 20 and 8
}

// RedisConfig selects the bus between nodes.
type RedisConfig struct {
	URL string `yaml:"url"` // empty: in-process
}

// BlobsConfig selects where bytes over 32 KiB are kept.
type BlobsConfig struct {
	URL string `yaml:"url"` // empty: files in data_dir; s3://…
}

// ClusterConfig says how other nodes on the same database reach this one.
type ClusterConfig struct {
	Listen    string `yaml:"listen"`    // empty: they do not
	Advertise string `yaml:"advertise"` // host:port that they connect to; empty: where it listens
}

// ChatConfig limits what one person or one socket may ask of everybody else.
type ChatConfig struct {
	MaxTextBytes   int           `yaml:"max_text_bytes"`   // of one message
	MaxMembers     int           `yaml:"max_members"`      // of one channel
	SendsPerSecond float64       `yaml:"sends_per_second"` // of one socket, lastingly
	SendBurst      int           `yaml:"send_burst"`       // and at once
	QueueBytes     int           `yaml:"queue_bytes"`      // waiting for one slow socket
	MaxSockets     int           `yaml:"max_sockets"`      // of one account on one node
	DrainSpread    time.Duration `yaml:"drain_spread"`     // over which sockets come back after a stop
}

// MediaConfig says where meetings' audio and video flow.
type MediaConfig struct {
	UDPListen string            `yaml:"udp_listen"`
	TCPListen string            `yaml:"tcp_listen"`
	Advertise []string          `yaml:"advertise"` // addresses that clients reach this node by
	APIKeys   map[string]string `yaml:"api_keys"`  // LiveKit API keys of outside programs: key → secret

	MaxParticipants int           `yaml:"max_participants"` // of one room
	MaxVoices       int           `yaml:"max_voices"`       // microphones of one room that are heard at a time
	MaxRooms        int           `yaml:"max_rooms"`        // of one node, that the room service adds to
	CallsPerSecond  float64       `yaml:"calls_per_second"` // of the room service, by one API key
	ReplayBytes     int           `yaml:"replay_bytes"`     // of reliable data that a room keeps for who was not reached
	UpdateInterval  time.Duration `yaml:"update_interval"`  // that changes of a full room gather for
	UDPSockets      int           `yaml:"udp_sockets"`      // that share the UDP port; 0: as many as processors
	SendHold        time.Duration `yaml:"send_hold"`        // a packet may wait this long for the rest of its frame; 0: it does not
	FanOut          int           `yaml:"fan_out"`          // subscribers of a track from which on several processors send its packets; 0: one does

	TCPMaxConnections           int `yaml:"tcp_max_connections"`             // of tcp_listen
	TCPMaxConnectionsPerAddress int `yaml:"tcp_max_connections_per_address"` // of tcp_listen; trusted proxies are exempt
}

// MailConfig says where mail is accepted and read.
type MailConfig struct {
	SMTPListen        string `yaml:"smtp_listen"`
	SubmissionListen  string `yaml:"submission_listen"`
	SubmissionsListen string `yaml:"submissions_listen"`
	IMAPListen        string `yaml:"imap_listen"`
	IMAPSListen       string `yaml:"imaps_listen"`
	ClientIMAP        string `yaml:"client_imap"` // host:port that people set their mail programs to; empty: the host of http.public_url and our own port
	ClientSMTP        string `yaml:"client_smtp"` // likewise, for sending
	Smarthost         string `yaml:"smarthost"`   // host:port that takes mail for outside; empty: MX
	MaxMessageBytes   int64  `yaml:"max_message_bytes"`
	MaxRecipients     int    `yaml:"max_recipients"`
	MaxMailboxes      int    `yaml:"max_mailboxes"` // of one person

	IMAPMaxSearchWords  int `yaml:"imap_max_search_words"`  // of one SEARCH
	IMAPMaxListPatterns int `yaml:"imap_max_list_patterns"` // of one LIST

	MaxConnections           int           `yaml:"max_connections"`             // of each listener
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address"` // of each listener
	MaxFailedSignIns         int           `yaml:"max_failed_sign_ins"`         // of one connection, then it is closed
	QueueLifetime            time.Duration `yaml:"queue_lifetime"`              // mail for outside is tried this long
	QueueWorkers             int           `yaml:"queue_workers"`               // deliveries at once
	CollectAfter             time.Duration `yaml:"collect_after"`               // bytes that nothing refers to are kept this long
}

// LDAPConfig is the address book's listener.
type LDAPConfig struct {
	Listen     string `yaml:"listen"`      // LDAPS and StartTLS
	Client     string `yaml:"client"`      // host:port that people set their address books to; empty: the host of http.public_url and our own port
	MaxEntries int    `yaml:"max_entries"` // of one search

	MaxConnections           int           `yaml:"max_connections"`
	MaxConnectionsPerAddress int           `yaml:"max_connections_per_address"`
	MaxFailedSignIns         int           `yaml:"max_failed_sign_ins"` // of one connection, then it is closed
	Idle                     time.Duration `yaml:"idle"`                // a connection without requests is closed
}

// SignInConfig slows down whoever guesses at passwords.
type SignInConfig struct {
	FreeFailures int           `yaml:"free_failures"` // of one account from one address before the first delay
	LongestDelay time.Duration `yaml:"longest_delay"` // what the doubling delay grows to
	AddressBurst int           `yaml:"address_burst"` // failures of one address; one more a second
	MaxHashes    int           `yaml:"max_hashes"`    // passwords checked at once, 19 MiB each; 0: one less than processors
	MaxWaiting   int           `yaml:"max_waiting"`   // sign-ins that may wait for that

	PasswordMin           int           `yaml:"password_min"`             // characters of a new password where nothing else is asked for
	PasswordMinWithFactor int           `yaml:"password_min_with_factor"` // and with a second factor
	PasswordList          string        `yaml:"password_list"`            // a file with more passwords to refuse, one a line
	TicketLifetime        time.Duration `yaml:"ticket_lifetime"`          // from one step of a sign-in to the next
	CodeLifetime          time.Duration `yaml:"code_lifetime"`            // of one-time codes for invitations and resets

	RequireFactor    string            `yaml:"require_factor"`     // who must have a second factor: admins, all or none
	FreeCodes        int               `yaml:"free_codes"`         // wrong codes of a second factor in a row before the first delay
	LongestCodeDelay time.Duration     `yaml:"longest_code_delay"` // what that doubling delay grows to
	Providers        []ProviderConfig  `yaml:"providers"`          // outside providers, by OpenID Connect
	ProviderSecrets  map[string]string `yaml:"provider_secrets"`   // client secrets by provider id, for the environment
}

// SessionConfig limits sign-in sessions.
type SessionConfig struct {
	MaxAge        time.Duration `yaml:"max_age"`         // absolute; a new sign-in is needed after it
	IdleLock      time.Duration `yaml:"idle_lock"`       // without a person's act; 0: never
	AdminIdleLock time.Duration `yaml:"admin_idle_lock"` // likewise for administrative acts alone; 0: never
	FreshFor      time.Duration `yaml:"fresh_for"`       // how old a proof of who one is may be for sensitive acts; 0: as old as the session
}

// ImportConfig bounds the staff lists that are imported.
type ImportConfig struct {
	MaxRows       int `yaml:"max_rows"`        // of one list
	MaxBytes      int `yaml:"max_bytes"`       // of one list
	MaxLeaveShare int `yaml:"max_leave_share"` // percent of an agency's people who may leave by one list

	Keep time.Duration `yaml:"keep"` // a list, after it was applied or compared
}

// DelegationConfig bounds the positions that people lend (ủy quyền).
type DelegationConfig struct {
	Longest   time.Duration `yaml:"longest"`     // from its beginning to its end, and from now to its beginning
	MaxAtOnce int           `yaml:"max_at_once"` // that one person lends
}

// AuditConfig says how long the audit log keeps what is personal, how many
// refusals it records, and who gets a copy of it.
type AuditConfig struct {
	Retention       time.Duration `yaml:"retention"`        // of addresses and details; the events themselves stay
	KeepHeads       time.Duration `yaml:"keep_heads"`       // of every signed head; of older ones the last of each day stays
	Refusals        int           `yaml:"refusals"`         // of one account, recorded at once
	RefusalEvery    time.Duration `yaml:"refusal_every"`    // and one more each
	RefusedAccounts int           `yaml:"refused_accounts"` // whose refusals are counted at a time
	Syslog          SyslogConfig  `yaml:"syslog"`
}

func (c AuditConfig) refusals() audit.RefusalLimits {
	return audit.RefusalLimits{Burst: c.Refusals, Every: c.RefusalEvery, Accounts: c.RefusedAccounts}
}

// SyslogConfig is the receiver of the audit log's events.
type SyslogConfig struct {
	URL string `yaml:"url"` // udp://, tcp:// or tls://host:port; empty: none
	CA  string `yaml:"ca"`  // PEM file of the authorities that tls:// trusts; empty: the system's
}

func (c AuditConfig) syslog() audit.SyslogConfig {
	return audit.SyslogConfig{URL: c.Syslog.URL, CA: c.Syslog.CA}
}

// LogConfig shapes the log on standard error.
type LogConfig struct {
	Format string `yaml:"format"` // text or json
	Level  string `yaml:"level"`  // debug, info, warn or error
}

// StopConfig bounds an orderly stop.
type StopConfig struct {
	Timeout time.Duration `yaml:"timeout"` // for requests and queues under way
}

// Default returns the embedded defaults: one machine, loopback only.
func Default() Config {
	return Config{
		Domain:  "g2g.example",
		DataDir: "data",
		HTTP:    HTTPConfig{Listen: "127.0.0.1:8080", PublicURL: "http://localhost:8080", MaxBodyBytes: 1 << 20, MaxConnectionsPerAddress: 2000},
		Admin:   AdminConfig{Listen: "127.0.0.1:8081"},
		Chat: ChatConfig{
			MaxTextBytes: 16 << 10, MaxMembers: 1000, SendsPerSecond: 10, SendBurst: 100, QueueBytes: 512 << 10, MaxSockets: 50, DrainSpread: time.Minute,
		},
		Media: MediaConfig{UDPListen: "127.0.0.1:7882", TCPListen: "127.0.0.1:7881", MaxParticipants: 1000,
			MaxRooms: 10000, CallsPerSecond: 50, UpdateInterval: 100 * time.Millisecond, ReplayBytes: 1 << 20, MaxVoices: 8, SendHold: 500 * time.Microsecond, FanOut: 50,
			TCPMaxConnections: 5000, TCPMaxConnectionsPerAddress: 2000},
		TURN: defaultTURN,
		Mail: MailConfig{
			SMTPListen: "127.0.0.1:2525", SubmissionListen: "127.0.0.1:2587", SubmissionsListen: "127.0.0.1:2465",
			IMAPListen: "127.0.0.1:2143", IMAPSListen: "127.0.0.1:2993",
			MaxMessageBytes: 50 << 20, MaxRecipients: 500, MaxMailboxes: 1000, IMAPMaxSearchWords: 50, IMAPMaxListPatterns: 20, MaxConnections: 1000, MaxConnectionsPerAddress: 50, MaxFailedSignIns: 5,
			QueueLifetime: 5 * 24 * time.Hour, QueueWorkers: 4, CollectAfter: 24 * time.Hour,
		},
		LDAP: LDAPConfig{
			Listen: "127.0.0.1:2389", MaxEntries: 100, MaxConnections: 1000, MaxConnectionsPerAddress: 50, MaxFailedSignIns: 5, Idle: 10 * time.Minute,
		},
		SignIn: SignInConfig{FreeFailures: 10, LongestDelay: time.Minute, AddressBurst: 200, MaxWaiting: 64,
			RequireFactor: directory.RequireFactorAdmins, FreeCodes: 5, LongestCodeDelay: 15 * time.Minute,
			PasswordMin: 15, PasswordMinWithFactor: 8, TicketLifetime: 10 * time.Minute, CodeLifetime: 72 * time.Hour},
		Session:    SessionConfig{MaxAge: 12 * time.Hour, IdleLock: 15 * time.Minute, AdminIdleLock: 5 * time.Minute, FreshFor: 10 * time.Minute},
		Import:     ImportConfig{MaxRows: 200_000, MaxBytes: 64 << 20, MaxLeaveShare: 10, Keep: 90 * 24 * time.Hour},
		Delegation: DelegationConfig{Longest: 366 * 24 * time.Hour, MaxAtOnce: 50},
		Audit:      AuditConfig{Retention: 5 * audit.MinRetention, KeepHeads: 7 * 24 * time.Hour, Refusals: 60, RefusalEvery: 10 * time.Second, RefusedAccounts: 10_000},
		Log:        LogConfig{Format: "text", Level: "info"},
		Stop:       StopConfig{Timeout: 15 * time.Second},
	}
}

// imports is what the directory is told of staff lists.
func (c *Config) imports() directory.ImportLimits {
	return directory.ImportLimits{MaxRows: c.Import.MaxRows, MaxBytes: c.Import.MaxBytes, LeaveShare: c.Import.MaxLeaveShare, Keep: c.Import.Keep}
}

// secure tells whether browsers reach the pages over https.
func (c *Config) secure() bool { return strings.HasPrefix(c.HTTP.PublicURL, "https://") }

// KeyError is a configuration key whose value cannot be used. Its text is one
// line that names the key and the cure.
type KeyError struct {
	Key string // "http.listen"
	Err error
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the value.
func (e *KeyError) Unwrap() error { return e.Err }

func keyErrorf(key, format string, args ...any) error {
	return &KeyError{Key: key, Err: fmt.Errorf(format, args...)}
}

// listener is a listening address of the configuration.
type listener struct {
	key      string
	value    string
	optional bool // empty switches it off
	media    bool // may leave loopback in the demo; bound with the media, not by open
	udp      bool
}

func (c *Config) listeners() []listener {
	return []listener{
		{key: "http.listen", value: c.HTTP.Listen},
		{key: "admin.listen", value: c.Admin.Listen},
		{key: "cluster.listen", value: c.Cluster.Listen, optional: true},
		{key: "media.udp_listen", value: c.Media.UDPListen, optional: true, media: true, udp: true},
		{key: "media.tcp_listen", value: c.Media.TCPListen, optional: true, media: true},
		{key: "turn.udp_listen", value: c.TURN.UDPListen, optional: true, media: true, udp: true},
		{key: "turn.tls_listen", value: c.TURN.TLSListen, optional: true},
		{key: "mail.smtp_listen", value: c.Mail.SMTPListen, optional: true},
		{key: "mail.submission_listen", value: c.Mail.SubmissionListen, optional: true},
		{key: "mail.submissions_listen", value: c.Mail.SubmissionsListen, optional: true},
		{key: "mail.imap_listen", value: c.Mail.IMAPListen, optional: true},
		{key: "mail.imaps_listen", value: c.Mail.IMAPSListen, optional: true},
		{key: "ldap.listen", value: c.LDAP.Listen, optional: true},
	}
}

// Listener is an address that a node listens on.
type Listener struct {
	Key     string // of the configuration
	Address string
	UDP     bool
}

// Listeners returns every address that a node with this configuration listens
// on.
func (c *Config) Listeners() []Listener {
	var out []Listener
	for _, l := range c.listeners() {
		if l.value != "" {
			out = append(out, Listener{Key: l.key, Address: l.value, UDP: l.udp})
		}
	}
	return out
}

// Validate checks every key without touching disk or network. The error is a
// *KeyError.
func (c *Config) Validate() error {
	if !validDomain(c.Domain) {
		return keyErrorf("domain", "%q is no mail domain; write one such as g2g.example", c.Domain)
	}
	if c.DataDir == "" {
		return keyErrorf("data_dir", "is empty; name the folder that holds the data")
	}
	if err := c.validateListeners(); err != nil {
		return err
	}
	if err := c.validateHTTP(); err != nil {
		return err
	}
	if err := c.validateURLs(); err != nil {
		return err
	}
	if err := c.validateCluster(); err != nil {
		return err
	}
	if err := c.validateMedia(); err != nil {
		return err
	}
	if err := c.validateTURN(); err != nil {
		return err
	}
	if err := c.Audit.syslog().Validate(); err != nil {
		return keyErrorf("audit.syslog", "%w", err)
	}
	if h := c.Mail.Smarthost; h != "" {
		if host, port, err := net.SplitHostPort(h); err != nil || host == "" || port == "" {
			return keyErrorf("mail.smarthost", "%q is no host:port; write one such as relay.example:587", h)
		}
	}
	for key, h := range map[string]string{"mail.client_imap": c.Mail.ClientIMAP, "mail.client_smtp": c.Mail.ClientSMTP, "ldap.client": c.LDAP.Client} {
		host, port, err := net.SplitHostPort(h)
		if n, numeric := strconv.Atoi(port); h != "" && (err != nil || host == "" || numeric != nil || n < 1 || n > 65535) {
			return keyErrorf(key, "%q is no host:port; write one such as mail.example:993", h)
		}
	}
	return c.validateLimits()
}

func (c *Config) validateListeners() error {
	taken := map[string]string{}
	for _, l := range c.listeners() {
		if l.value == "" && l.optional {
			continue
		}
		if _, err := net.ResolveTCPAddr("tcp", numericOnly(l.value)); err != nil {
			return keyErrorf(l.key, "%q is no address to listen on; write one such as 127.0.0.1:8080", l.value)
		}
		if c.Demo && !l.media && !loopback(l.value) {
			return keyErrorf(l.key, "%q is reachable from outside, and the demo's password is public; use 127.0.0.1, or run without --demo", l.value)
		}
		if _, port, _ := net.SplitHostPort(l.value); port == "0" {
			continue
		}
		socket := l.value
		if l.udp {
			socket = "udp " + l.value
		}
		if other, ok := taken[socket]; ok {
			return keyErrorf(l.key, "%q is taken by %s; give each its own port", l.value, other)
		}
		taken[socket] = l.key
	}
	return nil
}

// numericOnly makes a host name an error without a look-up: a listener is
// named by address, or by localhost.
func numericOnly(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "invalid"
	}
	if host == "localhost" || host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "invalid"
	}
	return address
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *Config) validateHTTP() error {
	u, err := url.Parse(c.HTTP.PublicURL)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return keyErrorf("http.public_url", "%q is no web address; write one such as https://comms.example", c.HTTP.PublicURL)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return keyErrorf("http.public_url", "%q has more than scheme, host and port; write %s://%s", c.HTTP.PublicURL, u.Scheme, u.Host)
	}
	t := c.HTTP.TLS
	if (t.Cert == "") != (t.Key == "") {
		return keyErrorf("http.tls", "cert and key go together; set both files, or neither")
	}
	for _, p := range c.HTTP.TrustedProxies {
		if _, err := parseNetwork(p); err != nil {
			return keyErrorf("http.trusted_proxies", "%q is no address or network; write one such as 127.0.0.1 or 192.0.2.0/24", p)
		}
	}
	if t.ACME {
		return keyErrorf("http.tls.acme", "is not served by this version; set http.tls.cert and http.tls.key")
	}
	return nil
}

func (c *Config) validateURLs() error {
	for _, k := range []struct {
		key, value, example string
		schemes             []string
	}{
		{"database.url", c.Database.URL, "postgres://user:password@host/database", []string{"postgres", "postgresql"}},
		{"redis.url", c.Redis.URL, "redis://:password@host:6379/0", []string{"redis", "rediss", "unix"}},
		{"blobs.url", c.Blobs.URL, "s3://key:secret@host/bucket", []string{"s3"}},
	} {
		if k.value == "" {
			continue
		}
		// The value may hold a password: it never stands in the error.
		u, err := url.Parse(k.value)
		if err != nil || !slices.Contains(k.schemes, u.Scheme) {
			return keyErrorf(k.key, "does not begin with %s://; write it like %s, or leave it empty", k.schemes[0], k.example)
		}
	}
	return nil
}

func (c *Config) validateCluster() error {
	if c.Cluster.Listen == "" {
		if c.Cluster.Advertise != "" {
			return keyErrorf("cluster.advertise", "is set and cluster.listen is not; name the address that this node listens on for other nodes")
		}
		return nil
	}
	if c.Database.URL == "" {
		return keyErrorf("cluster.listen", "is for several nodes on one PostgreSQL; set database.url, or leave it empty")
	}
	if a := c.Cluster.Advertise; a != "" {
		host, port, err := net.SplitHostPort(a)
		if n, numeric := strconv.Atoi(port); err != nil || host == "" || numeric != nil || n < 1 || n > 65535 {
			return keyErrorf("cluster.advertise", "%q is no host:port; write one such as 10.0.0.5:8082", a)
		}
		return nil
	}
	host, _, _ := net.SplitHostPort(c.Cluster.Listen) // validateListeners has looked at it
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return keyErrorf("cluster.advertise", "is empty, and cluster.listen names no single address; write the host:port that other nodes reach this one by, such as 10.0.0.5:8082")
	}
	return nil
}

func (c *Config) validateMedia() error {
	for _, l := range c.listeners() {
		if host, _, _ := net.SplitHostPort(l.value); host == "localhost" && strings.HasPrefix(l.key, "media.") {
			return keyErrorf(l.key, "%q names a host; write its address, such as 127.0.0.1:7882", l.value)
		}
	}
	for _, a := range c.Media.Advertise {
		if _, err := netip.ParseAddr(a); err != nil {
			return keyErrorf("media.advertise", "%q is no IP address; write one such as 203.0.113.7", a)
		}
	}
	for key, secret := range c.Media.APIKeys {
		if key == meeting.APIKey {
			return keyErrorf("media.api_keys", "%q is the name of the server's own key; choose another", key)
		}
		if len(secret) < 32 {
			return keyErrorf("media.api_keys", "the secret of %q is shorter than 32 characters; make one with: openssl rand -hex 32", key)
		}
	}
	if c.Media.UDPListen == "" && c.Media.TCPListen == "" {
		return keyErrorf("media.udp_listen", "is empty, and so is media.tcp_listen; media needs one of them, such as 127.0.0.1:7882")
	}
	return nil
}

func (c *Config) validateLimits() error {
	for _, l := range []struct {
		key string
		ok  bool
		min string
	}{
		{"http.max_body_bytes", c.HTTP.MaxBodyBytes >= 1<<10, "1024"},
		{"database.max_connections", c.Database.MaxConnections >= 0, "0"},
		{"chat.max_text_bytes", c.Chat.MaxTextBytes >= 1<<10, "1024"},
		{"chat.max_members", c.Chat.MaxMembers >= 2, "2"},
		{"chat.sends_per_second", c.Chat.SendsPerSecond >= 0.1, "0.1"},
		{"chat.send_burst", c.Chat.SendBurst >= 1, "1"},
		{"chat.queue_bytes", c.Chat.QueueBytes >= 64<<10, "65536"},
		{"chat.max_sockets", c.Chat.MaxSockets >= 1, "1"},
		{"chat.drain_spread", c.Chat.DrainSpread >= time.Second, "1s"},
		{"media.max_participants", c.Media.MaxParticipants >= 2, "2"},
		{"media.max_voices", c.Media.MaxVoices >= 1, "1"},
		{"media.max_rooms", c.Media.MaxRooms >= 1, "1"},
		{"media.calls_per_second", c.Media.CallsPerSecond >= 0.1, "0.1"},
		{"media.replay_bytes", c.Media.ReplayBytes >= 0, "0"},
		{"media.update_interval", c.Media.UpdateInterval >= time.Millisecond, "1ms"},
		{"media.tcp_max_connections", c.Media.TCPMaxConnections >= 1, "1"},
		{"media.tcp_max_connections_per_address", c.Media.TCPMaxConnectionsPerAddress >= 1, "1"},
		{"media.udp_sockets", c.Media.UDPSockets >= 0, "0"},
		{"media.send_hold", c.Media.SendHold >= 0, "0"},
		{"media.fan_out", c.Media.FanOut >= 0, "0"},
		{"turn.max_allocations", c.TURN.MaxAllocations >= 1, "1"},
		{"turn.max_allocations_per_user", c.TURN.MaxAllocationsPerUser >= 2, "2"},
		{"turn.max_bytes_per_second", c.TURN.MaxBytesPerSecond >= 64<<10, "65536"},
		{"turn.allocation_lifetime", c.TURN.AllocationLifetime >= time.Minute, "1m"},
		{"turn.credential_lifetime", c.TURN.CredentialLifetime >= 10*time.Minute, "10m"},
		{"turn.max_connections", c.TURN.MaxConnections >= 1, "1"},
		{"turn.max_connections_per_address", c.TURN.MaxConnectionsPerAddress >= 1, "1"},
		{"mail.max_connections", c.Mail.MaxConnections >= 1, "1"},
		{"mail.max_connections_per_address", c.Mail.MaxConnectionsPerAddress >= 1, "1"},
		{"mail.max_failed_sign_ins", c.Mail.MaxFailedSignIns >= 1, "1"},
		{"ldap.max_entries", c.LDAP.MaxEntries >= 1, "1"},
		{"ldap.max_connections", c.LDAP.MaxConnections >= 1, "1"},
		{"ldap.max_connections_per_address", c.LDAP.MaxConnectionsPerAddress >= 1, "1"},
		{"ldap.max_failed_sign_ins", c.LDAP.MaxFailedSignIns >= 1, "1"},
		{"ldap.idle", c.LDAP.Idle >= time.Second, "1s"},
		{"mail.queue_lifetime", c.Mail.QueueLifetime >= time.Minute, "1m"},
		{"mail.queue_workers", c.Mail.QueueWorkers >= 1, "1"},
		{"mail.collect_after", c.Mail.CollectAfter >= time.Hour, "1h"}, // a message may take a quarter of one to come
		{"sign_in.free_failures", c.SignIn.FreeFailures >= 1, "1"},
		{"sign_in.longest_delay", c.SignIn.LongestDelay >= time.Second, "1s"},
		{"sign_in.address_burst", c.SignIn.AddressBurst >= 1, "1"},
		{"sign_in.max_hashes", c.SignIn.MaxHashes >= 0, "0"},
		{"sign_in.max_waiting", c.SignIn.MaxWaiting >= 1, "1"},
		{"sign_in.password_min", c.SignIn.PasswordMin >= 8, "8"},
		{"sign_in.password_min_with_factor", c.SignIn.PasswordMinWithFactor >= 8, "8"},
		{"sign_in.ticket_lifetime", c.SignIn.TicketLifetime >= time.Minute, "1m"},
		{"sign_in.code_lifetime", c.SignIn.CodeLifetime >= time.Minute, "1m"},
		{"sign_in.free_codes", c.SignIn.FreeCodes >= 1, "1"},
		{"sign_in.longest_code_delay", c.SignIn.LongestCodeDelay >= time.Second, "1s"},
		{"session.idle_lock", c.Session.IdleLock == 0 || c.Session.IdleLock >= 10*time.Second, "10s, or 0 to switch it off"},
		{"session.admin_idle_lock", c.Session.AdminIdleLock == 0 || c.Session.AdminIdleLock >= 10*time.Second, "10s, or 0 to switch it off"},
		{"session.fresh_for", c.Session.FreshFor == 0 || c.Session.FreshFor >= 10*time.Second, "10s, or 0 to switch it off"},
		{"http.max_connections", c.HTTP.MaxConnections >= 0, "0"},
		{"http.max_connections_per_address", c.HTTP.MaxConnectionsPerAddress >= 1, "1"},
		{"mail.max_message_bytes", c.Mail.MaxMessageBytes >= 64<<10, "65536"},
		{"mail.imap_max_search_words", c.Mail.IMAPMaxSearchWords >= 1, "1"},
		{"mail.imap_max_list_patterns", c.Mail.IMAPMaxListPatterns >= 1, "1"},
		{"mail.max_mailboxes", c.Mail.MaxMailboxes >= 10, "10"},
		{"mail.max_recipients", c.Mail.MaxRecipients >= 100, "100 (RFC 5321 section 4.5.3.1.8)"},
		{"session.max_age", c.Session.MaxAge >= time.Minute, "1m"},
		{"import.max_rows", c.Import.MaxRows >= 1, "1"},
		{"import.max_bytes", c.Import.MaxBytes >= 1<<10, "1024"},
		{"import.max_leave_share", c.Import.MaxLeaveShare >= 1, "1 (percent); override_leaves lets more leave"},
		{"delegation.longest", c.Delegation.Longest >= time.Hour, "1h"},
		{"delegation.max_at_once", c.Delegation.MaxAtOnce >= 1, "1"},
		{"import.keep", c.Import.Keep >= 24*time.Hour, "24h"},
		{"audit.retention", c.Audit.Retention >= audit.MinRetention, "8760h (12 months)"},
		{"audit.keep_heads", c.Audit.KeepHeads >= audit.MinKeepHeads, "24h"},
		{"audit.refusals", c.Audit.Refusals >= 1, "1"},
		{"audit.refusal_every", c.Audit.RefusalEvery >= time.Millisecond, "1ms"},
		{"audit.refused_accounts", c.Audit.RefusedAccounts >= 1, "1"},
		{"stop.timeout", c.Stop.Timeout >= 0, "0s"},
	} {
		if !l.ok {
			return keyErrorf(l.key, "is too small; use at least %s", l.min)
		}
	}
	if c.Import.MaxLeaveShare > 100 {
		return keyErrorf("import.max_leave_share", "is a share in percent; use at most 100")
	}
	if c.LDAP.MaxEntries >= directory.MaxFound {
		return keyErrorf("ldap.max_entries", "is too large; use at most %d", directory.MaxFound-1)
	}
	if err := c.SignIn.validate(); err != nil {
		return err
	}
	if c.Chat.MaxTextBytes > chat.MaxText {
		return keyErrorf("chat.max_text_bytes", "is too large; use at most %d", chat.MaxText)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return keyErrorf("log.format", "%q is neither text nor json", c.Log.Format)
	}
	if _, ok := levels[c.Log.Level]; !ok {
		return keyErrorf("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	return nil
}

func validDomain(d string) bool {
	if d == "" || len(d) > 253 {
		return false
	}
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
				return false
			}
		}
	}
	return true
}
