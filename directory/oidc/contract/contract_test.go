package contract_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"commsd/directory/oidc/contract"
)

const secret = "client-secret"

// build makes commsd in a folder of the test's.
func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "commsd")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "./cmd/commsd")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

const config = `
data_dir: %[1]s/data
http: {listen: "127.0.0.1:0", public_url: "http://localhost"}
admin: {listen: "127.0.0.1:0"}
media: {udp_listen: "127.0.0.1:0", tcp_listen: "127.0.0.1:0"}
mail: {smtp_listen: "", submission_listen: "", submissions_listen: "", imap_listen: "", imaps_listen: ""}
ldap: {listen: ""}
log: {format: json}
sign_in:
  providers: [{id: noivu, name: Cổng Bộ Nội vụ, issuer: "%[2]s", client_id: commsd, domains: [noivu.g2g.example]}]
`

// serve runs commsd until the test ends and returns the address of its pages.
func serve(t *testing.T, file, issuer string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "commsd.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, config, dir, issuer), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(file, "serve", "--demo", "--config", path)
	cmd.Env = append(os.Environ(), "COMMSD_SIGN_IN_PROVIDER_SECRETS={noivu: "+secret+"}")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	page := ""
	for page == "" && lines.Scan() {
		var line struct{ Msg, Page string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			page = line.Page
		} else if line.Msg == "" {
			t.Log(lines.Text())
		}
	}
	rest := make(chan struct{})
	go func() {
		defer close(rest)
		_, _ = io.Copy(io.Discard, stderr) // until the process ends
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // Wait tells whether it ended well
		<-rest
		if err := cmd.Wait(); err != nil {
			t.Errorf("commsd ended with %v", err)
		}
	})
	if page == "" {
		t.Fatal("commsd did not start")
	}
	return page
}

// start runs a provider and a commsd that takes its word for noivu.g2g.example;
// it returns the address of commsd's pages.
func start(t *testing.T, file, secretThere string) (string, contract.People) {
	t.Helper()
	known := contract.NewPeople("an@noivu.g2g.example", "nobody@noivu.g2g.example", "chi@hanoi.g2g.example", "binh@noivu.g2g.example")
	known["id-3"].EmailVerified = false
	provider := httptest.NewUnstartedServer(nil)
	issuer := "http://" + provider.Listener.Addr().String()
	page := serve(t, file, issuer)
	provider.Config.Handler = contract.NewProvider(issuer, secretThere, page+"/api/v1/sessions/oidc/noivu/callback", known)
	provider.Start()
	t.Cleanup(provider.Close)
	return page, known
}

var formID = regexp.MustCompile(`name="id" value="([^"]+)"`)

// signIn is a person at a browser: to the provider, through its form, and back.
// It returns the last address.
func signIn(t *testing.T, node string, client *http.Client, name string) *url.URL {
	t.Helper()
	page, at := get(t, client, node+"/api/v1/sessions/oidc/noivu?to=/chat&login="+name)
	id := formID.FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("%s shows no form: %s", at, page)
	}
	res, err := client.PostForm(at.Scheme+"://"+at.Host+"/login/username", url.Values{"username": {name}, "password": {contract.Password}, "id": {id[1]}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.Request.URL // whether the web client is built or not
}

func get(t *testing.T, client *http.Client, address string) (string, *url.URL) {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), res.Request.URL
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: pages{}}
}

// pages asks for pages, as a browser does.
type pages struct{}

func (pages) RoundTrip(rq *http.Request) (*http.Response, error) {
	rq = rq.Clone(rq.Context())
	rq.Header.Set("Accept", "text/html")
	return http.DefaultTransport.RoundTrip(rq)
}

// who is the login that the browser is signed in as.
func who(t *testing.T, node string, client *http.Client) string {
	t.Helper()
	text, _ := get(t, client, node+"/api/v1/sessions/current")
	var session struct{ Person struct{ Address string } }
	if err := json.Unmarshal([]byte(text), &session); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return session.Person.Address
}

func TestProvider(t *testing.T) {
	file := build(t)
	t.Run("sign in", func(t *testing.T) { signInByIt(t, file) })
	t.Run("another secret", func(t *testing.T) { anotherSecret(t, file) })
}

func signInByIt(t *testing.T, file string) {
	t.Helper()
	node, known := start(t, file, secret)
	for range 2 { // the second time by the link of the first
		client := browser(t)
		at := signIn(t, node, client, "an@noivu.g2g.example")
		if at.Path != "/chat" || !strings.HasPrefix(node, "http://"+at.Host) || who(t, node, client) != "an@noivu.g2g.example" {
			t.Fatalf("sent to %s, signed in as %q", at, who(t, node, client))
		}
		known["id-0"].Email = "changed@elsewhere.example"
	}
	for _, name := range []string{"nobody@noivu.g2g.example", "chi@hanoi.g2g.example", "binh@noivu.g2g.example"} {
		client := browser(t)
		at := signIn(t, node, client, name)
		if at.Path != "/sign-in" || !strings.Contains(at.EscapedFragment(), "error=forbidden") || who(t, node, client) != "" {
			t.Errorf("%s: sent to %s, signed in as %q", name, at, who(t, node, client))
		}
	}
}

func anotherSecret(t *testing.T, file string) {
	t.Helper()
	node, _ := start(t, file, "another-secret")
	client := browser(t)
	at := signIn(t, node, client, "an@noivu.g2g.example")
	if at.Path != "/sign-in" || !strings.Contains(at.EscapedFragment(), "error=unauthenticated") || who(t, node, client) != "" {
		t.Errorf("sent to %s", at)
	}
}
