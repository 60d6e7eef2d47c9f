using System.Net;
using System.Net.Http.Headers;
using System.Security.Authentication;
using GemmaCore.Inputs;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.RemoteImages;

/// <summary>
/// Fetches the pictures of a request from allowed hosts, before anything of it is queued: over https, from public addresses, with neither redirects, proxies, cookies nor
/// credentials, within bytes and time. The address that a name was resolved to is checked and then connected to, so a name that changes its mind gains nothing.
/// </summary>
internal sealed class ImageFetcher : IDisposable
{
    private readonly ServerOptions _options;
    private readonly ImageNetwork _network;
    private readonly SemaphoreSlim _fetching;
    private readonly HttpMessageInvoker _http;

    public ImageFetcher(ServerOptions options, ImageNetwork network)
    {
        (_options, _network, Hosts) = (options, network, new ImageHosts(options.AllowedImageHosts));
        _fetching = new SemaphoreSlim(options.MaxFetchingRequests);
        var sockets = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseProxy = false, UseCookies = false, Credentials = null, PreAuthenticate = false, AutomaticDecompression = DecompressionMethods.None,
            ActivityHeadersPropagator = null, // traces of the server are not the host's business
            ConnectCallback = ConnectAsync, MaxResponseHeadersLength = 16, MaxResponseDrainSize = 0, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
            ConnectTimeout = options.ImageFetchTime, MaxConnectionsPerServer = options.MaxFetchingRequests, // a connection that nobody waits for any longer is still being made
        };
        sockets.SslOptions.CertificateChainPolicy = network.Trust;
        _http = new HttpMessageInvoker(sockets);
    }

    /// <summary>Where pictures may be fetched from.</summary>
    public ImageHosts Hosts { get; }

    /// <summary>The same conversation, with pictures in place of their addresses.</summary>
    /// <param name="messages">The conversation.</param>
    /// <param name="client">Cancelled when the client leaves.</param>
    /// <exception cref="RequestException">A picture cannot be had, or is none; the message says nothing of what was found on the way.</exception>
    public async Task<IReadOnlyList<ChatMessage>> FetchAsync(IReadOnlyList<ChatMessage> messages, CancellationToken client)
    {
        RemotePicture[] wanted = [.. messages.SelectMany(message => message.Content).OfType<RemotePicture>()];
        if (wanted.Length == 0) return messages;
        if (!await _fetching.WaitAsync(_options.ImageFetchTime, client).ConfigureAwait(false))
            throw new RequestException(
                StatusCodes.Status429TooManyRequests, "rate_limit_error", "Too many images are being fetched; try again later", wanted[0].Field.Path, "too_many_fetches", retryAfter: 1);
        using var time = CancellationTokenSource.CreateLinkedTokenSource(client);
        time.CancelAfter(_options.ImageFetchTime);
        try
        {
            Dictionary<Uri, ImageSource> pictures = await FetchAllAsync(wanted, client, time.Token).ConfigureAwait(false);
            return [.. messages.Select(message => message with { Content = [.. message.Content.Select(part => part is RemotePicture remote ? Placed(remote, pictures) : part)] })];
        }
        finally
        {
            _fetching.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _http.Dispose();
        _fetching.Dispose();
    }

    private static ImagePart Placed(RemotePicture remote, Dictionary<Uri, ImageSource> pictures) =>
        new(remote.Limits.Checked(pictures[remote.Address] with { Frame = remote.Frame, Window = remote.Window }, remote.Field));

    // One after the other: a request holds one connection and one picture that is still coming.
    private async Task<Dictionary<Uri, ImageSource>> FetchAllAsync(RemotePicture[] wanted, CancellationToken client, CancellationToken time)
    {
        var pictures = new Dictionary<Uri, ImageSource>();
        long left = _options.MaxBodyBytes; // what they would have been allowed to weigh within the request
        foreach (RemotePicture remote in wanted)
        {
            if (pictures.ContainsKey(remote.Address)) continue;
            if (pictures.Count == _options.MaxFetchedImages)
                throw RequestException.Invalid($"At most {_options.MaxFetchedImages} images of a request are fetched; send the others as data URLs", remote.Field.Path, "too_many_images");
            try
            {
                ReadOnlyMemory<byte> bytes = await FetchOneAsync(remote, Math.Min(left, _options.MaxFetchedImageBytes), time).ConfigureAwait(false);
                left -= bytes.Length;
                pictures.Add(remote.Address, ImageSource.FromBytes(bytes));
            }
            catch (OperationCanceledException) when (!client.IsCancellationRequested)
            {
                throw Failed(remote, $"not within {_options.ImageFetchTime.TotalSeconds:0.#} seconds", null);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or AuthenticationException)
            {
                // One text for whatever it was: a stranger learns nothing of names, addresses and ports.
                throw Failed(remote, "the host could not be reached over https", error.GetBaseException().Message);
            }
        }

        return pictures;
    }

    private async Task<ReadOnlyMemory<byte>> FetchOneAsync(RemotePicture remote, long most, CancellationToken time)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, remote.Address);
        request.Headers.Accept.ParseAdd("image/*, application/dicom");
        request.Headers.UserAgent.ParseAdd("GemmaCore"); // some hosts refuse whoever has no name
        using HttpResponseMessage response = await _http.SendAsync(request, time).ConfigureAwait(false);
        if ((int)response.StatusCode is >= 300 and < 400) throw Failed(remote, "the host sends elsewhere, and redirects are not followed", null);
        if (response.StatusCode != HttpStatusCode.OK) throw Failed(remote, $"the host answered {(int)response.StatusCode}", null);
        HttpContentHeaders headers = response.Content.Headers;
        if (headers.ContentEncoding.Count > 0) throw Failed(remote, "the host compressed it, unasked", null);
        if (!PictureLimits.IsKnown(headers.ContentType?.MediaType)) throw RequestException.Invalid(
            "What the image URL leads to is not sent as an image; expected the content type image/png, jpeg, webp, bmp, gif or tiff, or application/dicom", remote.Field.Path, "invalid_image_type");
        if (headers.ContentLength > most) throw TooLarge(remote, most);
        using Stream body = await response.Content.ReadAsStreamAsync(time).ConfigureAwait(false);
        return await ReadAsync(body, remote, most, time).ConfigureAwait(false);
    }

    // Whatever length the host named, the bytes that come are counted.
    private static async Task<ReadOnlyMemory<byte>> ReadAsync(Stream body, RemotePicture remote, long most, CancellationToken time)
    {
        using var picture = new MemoryStream();
        byte[] piece = new byte[32 << 10];
        int count;
        while ((count = await body.ReadAsync(piece, time).ConfigureAwait(false)) > 0)
        {
            if (picture.Length + count > most) throw TooLarge(remote, most);
            picture.Write(piece, 0, count);
        }

        return picture.GetBuffer().AsMemory(0, (int)picture.Length);
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        DnsEndPoint host = context.DnsEndPoint;
        if (!Hosts.Contains(host.Host, host.Port)) throw new IOException($"{host.Host} is not on the list of hosts");
        IPAddress[] addresses = await _network.Resolve(host.Host, cancellation).ConfigureAwait(false);
        // A host of the internet has no address of another kind: one that has is not trusted with the others either.
        if (Array.Find(addresses, address => !PublicAddresses.Contains(address)) is { } inside) throw new IOException($"{host.Host} resolves to {inside}, which is not an address of the public internet");
        Exception? failure = null;
        foreach (IPAddress address in addresses)
        {
            try
            {
                return await _network.Connect(new IPEndPoint(address, host.Port), cancellation).ConfigureAwait(false);
            }
            catch (Exception error) when (error is not OperationCanceledException)
            {
                failure = error;
            }
        }

        throw new IOException($"{host.Host}: no connection to any of {addresses.Length} addresses", failure);
    }

    private static RequestException TooLarge(RemotePicture remote, long most) =>
        RequestException.Invalid($"The image is too large: more than {most} bytes", remote.Field.Path, "image_too_large");

    private static RequestException Failed(RemotePicture remote, string reason, string? detail) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", $"The image could not be fetched: {reason}", remote.Field.Path, "image_fetch_failed")
        {
            Detail = $"image from {remote.Address.IdnHost}: {detail ?? reason}", // the host alone: the rest of an address may be a secret of the asker
        };
}
