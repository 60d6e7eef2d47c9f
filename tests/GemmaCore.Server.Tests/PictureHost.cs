using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using GemmaCore.Server.RemoteImages;

namespace GemmaCore.Server.Tests;

/// <summary>
/// A host of pictures over https on this machine, <see cref="Name"/>, that a server under test takes for one of the internet: it resolves to a public address, and connections
/// to that end here. It sends whatever bytes a test wants, one answer a connection.
/// </summary>
internal sealed class PictureHost : IAsyncDisposable
{
    public const string Name = "images.example", Url = "https://images.example/a.png?sig=secret";

    public static readonly IPAddress Public = IPAddress.Parse("93.184.215.14");

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly X509Certificate2 _root, _certificate;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _accepting;

    /// <param name="answer">What is sent for a request, given its head.</param>
    /// <param name="certificate">Makes the host's certificate from its authority; one for <see cref="Name"/> if nobody says.</param>
    public PictureHost(Func<Stream, string, CancellationToken, Task> answer, Func<X509Certificate2, X509Certificate2>? certificate = null)
    {
        _root = Authority("root", null);
        _certificate = (certificate ?? (root => Certificate(root, Name)))(_root);
        _listener.Start();
        _accepting = AcceptAsync(answer);
    }

    /// <summary>The heads of the requests.</summary>
    public ConcurrentQueue<string> Requests { get; } = [];

    /// <summary>The names that were looked up.</summary>
    public ConcurrentQueue<string> Resolved { get; } = [];

    /// <summary>The addresses that were connected to.</summary>
    public ConcurrentQueue<IPEndPoint> Connected { get; } = [];

    /// <summary>What names resolve to.</summary>
    public Func<string, IPAddress[]> Addresses { get; set; } = _ => [Public];

    /// <summary>Completed when the other side of a connection has gone before its answer was sent.</summary>
    public TaskCompletionSource Left { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The world as the server under test sees it: certificates are judged as those of the internet, with another authority.</summary>
    public ImageNetwork Network
    {
        get
        {
            X509ChainPolicy trust = ImageNetwork.Judge();
            trust.TrustMode = X509ChainTrustMode.CustomRootTrust;
            trust.CustomTrustStore.Add(_root);
            return new ImageNetwork(ResolveAsync, ConnectAsync, trust);
        }
    }

    /// <summary>A host that sends a picture, or what else it says it is.</summary>
    public static PictureHost Of(byte[] body, string headers = "Content-Type: image/jpeg\r\n", string status = "200 OK", bool namesLength = true) => new(async (stream, _, token) =>
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\n{headers}{(namesLength ? $"Content-Length: {body.Length}\r\n" : "")}Connection: close\r\n\r\n"), token);
        await stream.WriteAsync(body, token);
    });

    /// <summary>An authority's certificate, signed by another or by itself.</summary>
    public static X509Certificate2 Authority(string name, X509Certificate2? issuer) =>
        Sign(name, issuer, DateTimeOffset.UtcNow.AddDays(1), new X509BasicConstraintsExtension(true, false, 0, true));

    /// <summary>A host's certificate.</summary>
    /// <param name="issuer">Who signs it.</param>
    /// <param name="name">The host.</param>
    /// <param name="end">Until when it is good; a day from now if nobody says.</param>
    /// <param name="issuerAt">Where it says that its issuer's certificate can be downloaded.</param>
    public static X509Certificate2 Certificate(X509Certificate2 issuer, string name, DateTimeOffset? end = null, string? issuerAt = null)
    {
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        X509Extension[] more = issuerAt is null ? [] : [new X509AuthorityInformationAccessExtension([], [issuerAt])];
        return Sign(name, issuer, end ?? DateTimeOffset.UtcNow.AddDays(1), [names.Build(), new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1")], false), .. more]);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _accepting;
        _listener.Dispose(); // not before: a call to accept would fail in another way
        _end.Dispose();
        _certificate.Dispose();
        _root.Dispose();
    }

    private static X509Certificate2 Sign(string name, X509Certificate2? issuer, DateTimeOffset end, params X509Extension[] extensions)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        foreach (X509Extension extension in extensions) request.CertificateExtensions.Add(extension);
        DateTimeOffset begin = DateTimeOffset.UtcNow.AddDays(-1);
        if (issuer is null) return request.CreateSelfSigned(begin, end);
        using X509Certificate2 signed = request.Create(issuer, begin, end < issuer.NotAfter ? end : issuer.NotAfter, RandomNumberGenerator.GetBytes(8));
        return signed.CopyWithPrivateKey(key);
    }

    private Task<IPAddress[]> ResolveAsync(string name, CancellationToken cancellation)
    {
        Resolved.Enqueue(name);
        return Task.FromResult(Addresses(name));
    }

    private async Task<Stream> ConnectAsync(IPEndPoint address, CancellationToken cancellation)
    {
        Connected.Enqueue(address);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_listener.LocalEndpoint, cancellation);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private async Task AcceptAsync(Func<Stream, string, CancellationToken, Task> answer)
    {
        List<Task> answering = [];
        try
        {
            while (true) answering.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(_end.Token), answer));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(answering);
        }
    }

    private async Task AnswerAsync(TcpClient client, Func<Stream, string, CancellationToken, Task> answer)
    {
        using TcpClient open = client;
        try
        {
            await using var stream = new SslStream(client.GetStream());
            await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(_certificate, null, offline: true) }, _end.Token);
            var head = new StringBuilder();
            byte[] next = new byte[1];
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(next, _end.Token) > 0) head.Append((char)next[0]);
            if (head.Length == 0) throw new IOException("no request"); // who did not believe the certificate
            Requests.Enqueue(head.ToString());
            await answer(stream, head.ToString(), _end.Token);
        }
        catch (Exception error) when (error is IOException or System.Security.Authentication.AuthenticationException or OperationCanceledException)
        {
            Left.TrySetResult(); // the other side hung up, or the test is over
        }
    }
}
