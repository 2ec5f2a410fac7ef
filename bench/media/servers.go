package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"commsd/bench/media/client"
)

const startWithin = 30 * time.Second

// server is one that this program has started.
type server struct {
	Target
	command *exec.Cmd
	ended   chan struct{} // closed once it has
	log     *os.File
}

// start runs a server with its output in a file of dir, and waits until it
// answers at address. Each server needs what env adds.
func start(ctx context.Context, t Target, dir, address string, env []string, command ...string) (*server, error) {
	fail := func(err error) (*server, error) { return nil, fmt.Errorf("start %s: %w", t.Name, err) }
	log, err := os.Create(filepath.Join(dir, strings.ReplaceAll(t.Name, " ", "-")+".log"))
	if err != nil {
		return fail(err)
	}
	s := &server{Target: t, command: exec.Command(command[0], command[1:]...), ended: make(chan struct{}), log: log} //nolint:noctx // stop ends it in order
	s.command.Stdout, s.command.Stderr = log, log
	s.command.Env = append(os.Environ(), env...)
	// It must not outlive the driver.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := s.command.Start(); err != nil {
		return fail(errors.Join(err, log.Close()))
	}
	go func() {
		defer close(s.ended)
		_ = s.command.Wait() // the log tells why
	}()
	s.PID = s.command.Process.Pid
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return s, conn.Close()
		}
		select {
		case <-s.ended:
			return fail(errors.Join(fmt.Errorf("it ended; see %s", log.Name()), s.stop()))
		case <-ctx.Done():
			return fail(errors.Join(fmt.Errorf("it does not answer; see %s", log.Name()), s.stop()))
		case <-tick.C:
		}
	}
}

// stop ends the server in order, or after a while in any way.
func (s *server) stop() error {
	_ = s.command.Process.Signal(syscall.SIGTERM) // one that has ended takes none
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	select {
	case <-s.ended: // how, matters no more
	case <-timeout.C:
		_ = s.command.Process.Kill()
		<-s.ended
	}
	return s.log.Close()
}

// freePorts finds ports of loopback that nobody listens on.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer func() { _ = l.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// startCommsd runs a commsd of its own, with nobody in its directory.
func startCommsd(ctx context.Context, name, binary, dir string) (*server, string, error) {
	p, err := freePorts(ctx, 10)
	if err != nil {
		return nil, "", err
	}
	secret := rand.Text() + rand.Text()
	config := fmt.Sprintf(`domain: g2g.example
data_dir: %s
http: {listen: "127.0.0.1:%d", public_url: "http://localhost:%d"}
admin: {listen: "127.0.0.1:%d"}
media: {udp_listen: "127.0.0.1:%d", tcp_listen: "127.0.0.1:%d", api_keys: {bench: %q}}
mail: {smtp_listen: "127.0.0.1:%d", submission_listen: "127.0.0.1:%d", submissions_listen: "127.0.0.1:%d", imap_listen: "127.0.0.1:%d", imaps_listen: "127.0.0.1:%d"}
ldap: {listen: "127.0.0.1:%d"}
log: {level: warn}
`, filepath.Join(dir, "data"), p[0], p[0], p[1], p[2], p[3], secret, p[4], p[5], p[6], p[7], p[8], p[9])
	file := filepath.Join(dir, "commsd.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, "", fmt.Errorf("configure commsd: %w", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", p[0])
	s, err := start(ctx, Target{Name: name, URL: "ws://" + address, Key: "bench", Secret: secret}, dir, address, nil, binary, "serve", "--config", file)
	return s, fmt.Sprintf("http://127.0.0.1:%d", p[1]), err
}

// startForwarder runs the baseline.
func startForwarder(ctx context.Context, binary, dir string) (*server, error) {
	p, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", p[0])
	return start(ctx, Target{Name: "plain Pion", URL: "ws://" + address, Key: "bench", Secret: "not checked"}, dir, address, nil, binary, "-listen", address)
}

// startLiveKit runs a livekit-server.
func startLiveKit(ctx context.Context, binary, dir string) (*server, error) {
	p, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	secret := rand.Text() + rand.Text()
	config := fmt.Sprintf(`port: %d
bind_addresses: ["127.0.0.1"]
rtc: {tcp_port: %d, udp_port: %d, use_external_ip: false, enable_loopback_candidate: true, interfaces: {includes: [lo]}, ips: {includes: [127.0.0.1/32]}}
keys: {bench: %q}
logging: {level: warn}
`, p[0], p[1], p[2], secret)
	file := filepath.Join(dir, "livekit.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("configure LiveKit: %w", err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", p[0])
	return start(ctx, Target{Name: "LiveKit", URL: "ws://" + address, Key: "bench", Secret: secret}, dir, address, nil, binary, "--config", file)
}

// ownAddress is an address of this machine other than loopback's. What is sent
// to it from here goes over the loopback interface all the same.
func ownAddress() (netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("addresses of this machine: %w", err)
	}
	for _, a := range found {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP.To4()); ok && addr.IsGlobalUnicast() {
				return addr, nil
			}
		}
	}
	return netip.Addr{}, errors.New("this machine has no address but loopback's, which Janus does not use")
}

// startJanus runs Debian's Janus with the VideoRoom plugin alone. Its library
// for ICE knows no loopback: media goes by an address of the machine's.
func startJanus(ctx context.Context, binary, dir string) (*server, error) {
	p, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	own, err := ownAddress()
	if err != nil {
		return nil, err
	}
	configs := filepath.Join(dir, "janus")
	if err := os.MkdirAll(configs, 0o700); err != nil {
		return nil, fmt.Errorf("configure Janus: %w", err)
	}
	for name, text := range map[string]string{
		"janus.jcfg": `general: {
	debug_level = 2
}
nat: {
	ice_enforce_list = "` + own.String() + `"
	ice_lite = true
}
plugins: {
	disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_voicemail.so"
}
transports: {
	disable = "libjanus_http.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so"
}
`,
		"janus.plugin.videoroom.jcfg":     "general: {\n\tstring_ids = true\n}\n",
		"janus.transport.websockets.jcfg": fmt.Sprintf("general: {\n\tjson = \"compact\"\n\tws = true\n\tws_port = %d\n\tws_ip = \"127.0.0.1\"\n\twss = false\n}\n", p[0]),
	} {
		if err := os.WriteFile(filepath.Join(configs, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("configure Janus: %w", err)
		}
	}
	address := fmt.Sprintf("127.0.0.1:%d", p[0])
	t := Target{Name: "Janus", URL: "ws://" + address, Join: func(ctx context.Context, room, identity string, cfg client.Config) (participant, error) {
		cfg.Local = own
		return client.JoinJanus(ctx, room, identity, cfg)
	}}
	return start(ctx, t, dir, address, nil, binary, "-F", configs)
}

// fetch writes what url answers to a file: profiles of a server.
func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch %s: %s", url, resp.Status)
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", url, err)
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}
