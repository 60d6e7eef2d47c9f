using System.Net;
using GemmaCore.Server.OpenAi;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Http;

namespace GemmaCore.Server.Guards;

/// <summary>
/// A server on a loopback address answers to names of this machine only. A page of the web can make its own name point to 127.0.0.1 (DNS rebinding), and the
/// browser then takes our answers for that page's own; but it cannot change the name it asks for. Within somebody's own application, where addresses are not
/// ours to choose, a request that came in by another address needs a key, or a route that the application has put under its own authorization.
/// </summary>
internal sealed class HostGuard(ServerOptions options, bool ownsListener)
{
    /// <exception cref="RequestException">Another name, or everybody's.</exception>
    public void Check(HttpContext context)
    {
        if (!IsLoopback(context))
        {
            if (!ownsListener) RequireProtection(context);
            return;
        }

        string host = context.Request.Host.Host.Trim('[', ']');
        if (host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out IPAddress? address) && IPAddress.IsLoopback(address))) return;
        if (options.AllowedHosts.Contains(host, StringComparer.OrdinalIgnoreCase)) return;
        throw new RequestException(StatusCodes.Status403Forbidden, "invalid_request_error", "This server does not answer to that host name; see --allowed-host", code: "host_not_allowed");
    }

    // Sockets without an address (Unix sockets, test hosts) are this machine's.
    private bool IsLoopback(HttpContext context) => ownsListener ? options.IsLoopback : context.Connection.LocalIpAddress is not { } local || IPAddress.IsLoopback(local);

    private void RequireProtection(HttpContext context)
    {
        if (options.ApiKeys.Count > 0 || options.InsecureNoAuth || context.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null) return;
        throw new RequestException(
            StatusCodes.Status403Forbidden, "authentication_error", "This server answers other machines only with a key: set Server.ApiKeys, or RequireAuthorization() on its routes", code: "no_protection");
    }
}
