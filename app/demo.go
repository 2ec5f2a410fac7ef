package app

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"commsd/internal/httpapi"
)

// demoPassword is public: it opens nothing but the demo, which listens on
// loopback alone.
const demoPassword = "commsd-demo-only"

// DemoAccount is someone who can sign in to the demo.
type DemoAccount struct {
	Login  string `json:"login"`
	Name   string `json:"name"`
	Agency string `json:"agency"`
}

// demoAccounts are the people that directory.SeedDemo makes; a test compares.
var demoAccounts = []DemoAccount{
	{"an@noivu.g2g.example", "Nguyễn Văn An", "Bộ Nội vụ"},
	{"binh@noivu.g2g.example", "Trần Thanh Bình", "Bộ Nội vụ"},
	{"chi@hanoi.g2g.example", "Lê Thị Kim Chi", "UBND thành phố Hà Nội"},
	{"dung@hanoi.g2g.example", "Phạm Anh Dũng", "UBND thành phố Hà Nội"},
	{"admin@g2g.example", "Quản trị hệ thống", "commsd"},
	{"kiemtoan@g2g.example", "Kiểm toán hệ thống", "commsd"},
}

// infoOut is what the sign-in page may know before anyone signed in.
type infoOut struct {
	Body struct {
		Name         string        `json:"name"`
		Version      string        `json:"version"`
		Demo         bool          `json:"demo"`
		DemoAccounts []DemoAccount `json:"demo_accounts,omitempty" doc:"who can sign in; with demo alone"`
		DemoPassword string        `json:"demo_password,omitempty" doc:"their password; with demo alone"`
	}
}

// routeInfo registers GET /api/v1/info.
func routeInfo(api *httpapi.API, version string, demo bool) {
	out := &infoOut{}
	out.Body.Name, out.Body.Version, out.Body.Demo = "commsd", version, demo
	if demo {
		out.Body.DemoAccounts, out.Body.DemoPassword = demoAccounts, demoPassword
	}
	httpapi.RegisterPublic(api, huma.Operation{
		Method: http.MethodGet, Path: "/api/v1/info", OperationID: "get-info", Tags: []string{"info"},
		Summary: "What runs here, and in the demo who can sign in",
	}, func(context.Context, *struct{}) (*infoOut, error) { return out, nil })
}
