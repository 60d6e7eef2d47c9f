using System.Net;
using System.Net.Http.Headers;

namespace GemmaCore.Checkpoints.Hub;

/// <summary>
/// Requests to the hub. Redirects are followed here, not by the handler: the token goes to the hub's own scheme, host and port and nowhere else, and a
/// repository that was renamed (a redirect on the same host) still gets it.
/// </summary>
internal sealed class HubConnection : IDisposable
{
    private const int MostRedirects = 10, MostListingBytes = 64 << 20;

    private readonly HubSettings _settings;
    private readonly string _root;
    private readonly HttpClient _client;

    public HubConnection(HubSettings settings)
    {
        _settings = settings;
        _root = settings.Endpoint.AbsoluteUri.TrimEnd('/');
        _client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = settings.StallTimeout })
        {
            Timeout = Timeout.InfiniteTimeSpan, // a large file takes hours; silence is what is limited, see StallTimeout
        };
        string version = typeof(HubConnection).Assembly.GetName().Version!.ToString(3);
        _client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("gemmacore", version));
    }

    /// <summary>The files of a revision.</summary>
    public async Task<HubListing> ListAsync(string repository, string revision, HubRetry retry, CancellationToken cancellation)
    {
        var address = new Uri($"{_root}/api/models/{Escape(repository)}/revision/{Uri.EscapeDataString(revision)}?blobs=true");
        while (true)
        {
            try
            {
                using HttpResponseMessage response = await SendAsync(address, 0, cancellation).ConfigureAwait(false);
                Refuse(response, new HubRefusal(_settings, _root, repository, revision, File: null));
                return HubListing.Parse(repository, await ReadAllAsync(response, repository, cancellation).ConfigureAwait(false));
            }
            catch (HubInterruption interruption)
            {
                await retry.WaitAsync(interruption, cancellation).ConfigureAwait(false);
            }
        }
    }

    /// <summary>A file's bytes from <paramref name="start"/> on: 206, or 200 with the whole file, or 416.</summary>
    public async Task<HttpResponseMessage> OpenAsync(string repository, string commit, HubFile file, long start, CancellationToken cancellation)
    {
        var address = new Uri($"{_root}/{Escape(repository)}/resolve/{commit}/{Escape(file.Name)}");
        HttpResponseMessage response = await SendAsync(address, start, cancellation).ConfigureAwait(false);
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && start > 0) return response;
        try
        {
            Refuse(response, new HubRefusal(_settings, _root, repository, commit, file.Name));
            return response;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <summary>Reads from a response; what can go wrong on the way is a <see cref="HubInterruption"/>.</summary>
    public Task<int> ReadAsync(Stream body, Memory<byte> block, CancellationToken cancellation) =>
        GuardAsync(async limited => await body.ReadAsync(block, limited).ConfigureAwait(false), cancellation);

    public void Dispose() => _client.Dispose();

    private static string Escape(string path) => string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    private static void Refuse(HttpResponseMessage response, HubRefusal refusal)
    {
        if (!response.IsSuccessStatusCode) throw refusal.Of(response);
    }

    private async Task<HttpResponseMessage> SendAsync(Uri address, long start, CancellationToken cancellation)
    {
        for (int count = 0; count <= MostRedirects; count++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            if (start > 0) request.Headers.Range = new RangeHeaderValue(start, null);
            if (_settings.Token is { } token && IsHub(address)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            HttpResponseMessage response = await GuardAsync(
                limited => _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limited), cancellation).ConfigureAwait(false);
            if (!IsRedirect(response)) return response;
            using (response) address = Next(address, response.Headers.Location!);
        }

        throw new CheckpointException($"{_root} redirects more than {MostRedirects} times; does HF_ENDPOINT name a hub?");
    }

    private bool IsHub(Uri address) =>
        Uri.Compare(address, _settings.Endpoint, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0;

    private static bool IsRedirect(HttpResponseMessage response) => response.Headers.Location is not null && response.StatusCode is
        HttpStatusCode.MovedPermanently or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;

    private static Uri Next(Uri from, Uri location)
    {
        var next = new Uri(from, location);
        // Only the host is told: the query of such an address is often a signature that opens the file to anyone.
        if (next.Scheme != Uri.UriSchemeHttps && next.Scheme != from.Scheme)
            throw new CheckpointException($"{from.Host} redirects to {next.Scheme}://{next.Host}, which is not encrypted; refused");
        return next;
    }

    private async Task<ReadOnlyMemory<byte>> ReadAllAsync(HttpResponseMessage response, string repository, CancellationToken cancellation)
    {
        await using Stream body = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        using var all = new MemoryStream();
        byte[] block = new byte[1 << 16];
        int count;
        while ((count = await ReadAsync(body, block, cancellation).ConfigureAwait(false)) > 0)
        {
            all.Write(block, 0, count);
            if (all.Length > MostListingBytes) throw new CheckpointException($"{repository}: the list of files is longer than {MostListingBytes} bytes; refused");
        }

        return all.ToArray();
    }

    private async Task<T> GuardAsync<T>(Func<CancellationToken, Task<T>> action, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(_settings.StallTimeout);
        try
        {
            return await action(limit.Token).ConfigureAwait(false);
        }
        catch (HttpRequestException error) when (error.HttpRequestError == HttpRequestError.SecureConnectionError)
        {
            throw new CheckpointException($"{_root}: no secure connection: {(error.InnerException ?? error).Message}", error);
        }
        catch (HttpRequestException error) when (error.HttpRequestError is HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError)
        {
            throw new HubInterruption($"{_root} cannot be reached ({(error.InnerException ?? error).Message}); check the network, HF_ENDPOINT and HTTPS_PROXY", null, error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new HubInterruption($"the connection broke ({error.Message})", null, error);
        }
        catch (OperationCanceledException error) when (!cancellation.IsCancellationRequested)
        {
            throw new HubInterruption($"nothing came for {_settings.StallTimeout.TotalSeconds:0.#} s", null, error);
        }
    }
}
