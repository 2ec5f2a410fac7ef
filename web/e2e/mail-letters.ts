import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "vitest";
import { password, people, type Server, type Who } from "./harness";

/** Mail as officials write it, and ways to send it without the page. */

interface Letter {
  from: Who;
  to: string[];
  cc?: string[];
  subject: string;
  text: string;
  files?: { name: string; content: string }[];
}

const { an, binh, chi, dung } = people;
// As large as such files are; a reader is told of their size.
const pdf = Buffer.alloc(184_000, "%PDF-1.4 một tệp để thử\n").toString("base64");

/** What lies in Chi's mailbox when the day begins, oldest first. */
export const morning: Letter[] = [
  { from: "binh", to: [chi], cc: [an], subject: "Báo cáo kết quả cải cách hành chính tháng 10/2026", text: "Kính gửi chị Kim Chi,\n\nVụ gửi báo cáo kết quả cải cách hành chính tháng 10 của Bộ để Thành phố tham khảo trong lúc xây dựng báo cáo quý IV.\n\nTrân trọng,\nTrần Thanh Bình", files: [{ name: "BC-CCHC-thang-10-2026.pdf", content: pdf }] },
  { from: "dung", to: [chi], subject: "Lịch tiếp công dân tuần 48", text: "Chị Chi ạ,\n\nTuần này Chủ tịch tiếp công dân định kỳ vào sáng thứ Năm. Văn phòng đã báo Ban Tiếp công dân chuẩn bị phòng và hồ sơ của 6 vụ việc đăng ký trước." },
  { from: "an", to: [chi, dung], subject: "Về việc góp ý dự thảo Nghị định quản lý biên chế", text: "Kính gửi anh, chị,\n\nBộ Nội vụ đang hoàn thiện dự thảo Nghị định thay thế về vị trí việc làm và biên chế. Đề nghị Thành phố cho ý kiến trước ngày 30/11/2026, tập trung vào Điều 7 và Điều 12.\n\nToàn văn: https://congbao.example/du-thao/2026/112\n\nTrân trọng." , files: [{ name: "Du-thao-ND-bien-che.docx", content: pdf }, { name: "Bang-tong-hop-y-kien.xlsx", content: pdf }] },
  { from: "dung", to: [chi], subject: "Xe đi công tác Quảng Ninh ngày 27/11", text: "Đội xe đã bố trí xe 7 chỗ, đón tại cổng Trụ sở lúc 6 giờ 30. Lái xe: anh Hùng. Chị cho em danh sách người đi trước 16 giờ hôm nay nhé." },
  { from: "an", to: [chi], subject: "Xác nhận thành phần dự họp giao ban trực tuyến", text: "Chị Kim Chi kính mến,\n\nNhờ chị xác nhận giúp thành phần của UBND Thành phố dự họp giao ban trực tuyến 14 giờ ngày 26/11. Phòng họp mở trước 15 phút để thử âm thanh và hình ảnh.\n\nCảm ơn chị." },
  { from: "binh", to: [chi, an], subject: "Re: Số liệu giải quyết thủ tục hành chính đúng hạn", text: "Số liệu 98,7% là tính cả hồ sơ trực tuyến toàn trình. Nếu tách riêng hồ sơ tiếp nhận trực tiếp thì còn 96,2%.\n\n> Anh Bình cho em hỏi số liệu đúng hạn tháng 10 lấy theo nguồn nào?\n>> Bảng 3 của báo cáo ghi 98,7%, khác với Cổng dịch vụ công.\n\nBình" },
  { from: "dung", to: [chi], cc: [binh], subject: "Biên bản làm việc với Đoàn kiểm tra kỷ luật, kỷ cương hành chính của Thành phố tại các quận, huyện đợt 2 năm 2026", text: "Em gửi chị biên bản đã có chữ ký của hai bên. Bản giấy đang lưu tại Văn thư.", files: [{ name: "Biên bản làm việc đợt 2.pdf", content: pdf }] },
  { from: "an", to: [chi], subject: "Chúc mừng ngày Nhà giáo Việt Nam", text: "Chúc chị và các đồng nghiệp ở Trung tâm bồi dưỡng một ngày 20/11 thật vui và ý nghĩa!" },
  { from: "binh", to: [chi], subject: "Mời góp ý chương trình tập huấn chữ ký số", text: "Chương trình dự kiến 2 ngày, 60 học viên. Mong chị góp ý phần thực hành ký trên thiết bị di động." },
  { from: "dung", to: [chi], subject: "Bảng chấm công tháng 11 của Văn phòng", text: "Chị xem và duyệt giúp em trước ngày 28. Có hai trường hợp nghỉ phép chưa có đơn, em đã ghi chú ở cột cuối." },
  { from: "an", to: [chi], cc: [dung, binh], subject: "Kế hoạch thanh tra công vụ quý I/2027 (dự thảo lần 2)", text: "Gửi anh, chị bản dự thảo lần 2, đã tiếp thu ý kiến của Thanh tra Thành phố về phạm vi và thời hạn.\n\nKính nhờ anh, chị cho ý kiến bằng văn bản trước 17 giờ thứ Sáu." },
];

/** Sends letters over the API, each as who it is from. */
export async function deliver(app: Server, letters: Letter[]): Promise<void> {
  const signedIn = new Map<Who, Awaited<ReturnType<Server["browser"]["newContext"]>>>();
  for (const { from, ...letter } of letters) {
    let context = signedIn.get(from);
    if (!context) {
      context = await app.browser.newContext({ baseURL: app.url });
      const answer = await context.request.post("/api/v1/sessions", { data: { login: people[from], password } });
      expect(answer.status()).toBe(201);
      signedIn.set(from, context);
    }
    const sent = await context.request.post("/api/v1/mail/send", { data: letter });
    expect(sent.status(), await sent.text()).toBe(201);
  }
  for (const context of signedIn.values()) await context.close();
}

/** Sends by swaks, another's program, as a mail client of one of our people does. */
export async function submit(app: Server, as: Who, to: string, args: string[]): Promise<void> {
  await swaks(["--server", `127.0.0.1:${app.mail.submissions}`, "--tlsc", "--auth", "PLAIN", "--auth-user", people[as], "--auth-password", password, "--from", people[as], "--to", to, ...args]);
}

/** Sends by swaks as another mail server does. */
export async function fromOutside(app: Server, from: string, to: string, args: string[]): Promise<void> {
  await swaks(["--server", `127.0.0.1:${app.mail.smtp}`, "--helo", "mail.stttt.example", "--from", from, "--to", to, ...args]);
}

async function swaks(args: string[]): Promise<void> {
  await promisify(execFile)("swaks", args, { timeout: 20_000 });
}

/**
 * HTML that tries what mail has been known to try: scripts in every dress, and
 * pictures that tell who has opened it. elsewhere is the address of who asks.
 */
export function hostile(elsewhere: string): string {
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
  const html = `<html><head><style>body{background:url(${elsewhere}/css.png)}</style><link rel="stylesheet" href="${elsewhere}/x.css"><base href="${elsewhere}/">
<meta http-equiv="refresh" content="0;url=${elsewhere}/refresh"></head>
<body onload="top.ran=1;alert('onload')" background="${elsewhere}/bg.png">
<h2 style="color:#256b3c">Bản tin chuyển đổi số tháng 11</h2>
<p><img alt="Biểu trưng" src="cid:logo@stttt" width="48" height="48"> <img alt="Theo dõi" src="${elsewhere}/theo-doi.svg?ai=chi"></p>
<p>Chỉ số chuyển đổi số cấp tỉnh năm 2026 đã được công bố. Hà Nội tăng <b>hai bậc</b>, dẫn đầu về <i>dịch vụ công trực tuyến</i>.</p>
<table border="1" cellpadding="6" style="border-collapse:collapse"><tr><th>Chỉ số</th><th>2025</th><th>2026</th></tr><tr><td>Hạ tầng số</td><td>0,71</td><td>0,78</td></tr><tr><td>Nhân lực số</td><td>0,62</td><td>0,69</td></tr></table>
<script>top.ran=1;alert('script')</script><img src="x" onerror="top.ran=1;alert('onerror')"><svg onload="alert('svg')"><script>alert('svg')</script></svg>
<iframe src="${elsewhere}/frame"></iframe><object data="${elsewhere}/object"></object><form action="${elsewhere}/form"><input name="mat-khau" autofocus onfocus="alert('focus')"></form>
<video poster="${elsewhere}/poster.png" src="${elsewhere}/video.mp4"></video><div style="background-image:url('${elsewhere}/div.png')">Trân trọng.</div>
<p><a href="javascript:alert('link')">Bấm vào đây</a> · <a href="https://chuyendoiso.example/ban-tin">Xem toàn văn</a></p></body></html>`;
  return [
    "From: =?utf-8?B?QuG6o24gdGluIFPhu58gVGjDtG5nIHRpbiB2w6AgVHJ1eeG7gW4gdGjDtG5n?= <bantin@stttt.example>",
    "To: <chi@hanoi.g2g.example>",
    `Subject: =?utf-8?B?${Buffer.from("Bản tin chuyển đổi số tháng 11").toString("base64")}?=`,
    "Date: Wed, 25 Nov 2026 08:00:00 +0700",
    "Message-ID: <ban-tin-11@stttt.example>",
    "MIME-Version: 1.0",
    "Content-Type: multipart/related; boundary=related",
    "",
    "--related",
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    Buffer.from(html).toString("base64").replace(/.{76}/g, "$&\r\n"),
    "--related",
    "Content-Type: image/png",
    "Content-ID: <logo@stttt>",
    "Content-Disposition: inline; filename=logo.png",
    "Content-Transfer-Encoding: base64",
    "",
    pixel,
    "--related--",
    "",
  ].join("\r\n");
}
