using System.Net;
using System.Net.Sockets;

namespace GemmaCore.Server.RemoteImages;

/// <summary>
/// Which addresses belong to the public internet: all but those of IANA's registries of special-purpose addresses (RFC 6890), multicast, and what clouds answer their own
/// machines at. What holds another address inside it (mapped, NAT64, 6to4, Teredo) counts as none.
/// </summary>
internal static class PublicAddresses
{
    private static readonly IPNetwork[] SpecialV4 = Networks(
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "168.63.129.16/32"); // public by its number; Azure's own machines are answered there

    // Of the IPv6 addresses only these are given out, but for what is taken from them again.
    private static readonly IPNetwork GivenOutV6 = IPNetwork.Parse("2000::/3");
    private static readonly IPNetwork[] SpecialV6 = Networks("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20");

    /// <summary>Whether a server may connect there on behalf of a stranger.</summary>
    public static bool Contains(IPAddress address) => address.AddressFamily switch
    {
        AddressFamily.InterNetwork => !Array.Exists(SpecialV4, network => network.Contains(address)),
        AddressFamily.InterNetworkV6 => address.ScopeId == 0 && GivenOutV6.Contains(address) && !Array.Exists(SpecialV6, network => network.Contains(address)),
        _ => false,
    };

    private static IPNetwork[] Networks(params string[] networks) => [.. networks.Select(network => IPNetwork.Parse(network))];
}
