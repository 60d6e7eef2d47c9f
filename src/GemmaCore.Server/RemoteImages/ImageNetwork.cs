using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace GemmaCore.Server.RemoteImages;

/// <summary>What fetching asks of the world outside, so that tests can stand in for it: names, connections, and whose certificates are believed.</summary>
/// <param name="Resolve">The addresses of a host name.</param>
/// <param name="Connect">A connection to one of them.</param>
/// <param name="Trust">How certificates are judged; they always are.</param>
internal sealed record ImageNetwork(
    Func<string, CancellationToken, Task<IPAddress[]>> Resolve, Func<IPEndPoint, CancellationToken, Task<Stream>> Connect, X509ChainPolicy Trust)
{
    /// <summary>The internet.</summary>
    public static ImageNetwork Internet { get; } = new(Dns.GetHostAddressesAsync, ConnectAsync, Judge());

    /// <summary>The machine's own list of authorities, and nothing that a certificate asks to be downloaded: it names any address it likes.</summary>
    public static X509ChainPolicy Judge() => new() { DisableCertificateDownloads = true, RevocationMode = X509RevocationMode.NoCheck };

    private static async Task<Stream> ConnectAsync(IPEndPoint address, CancellationToken cancellation)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, cancellation).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
