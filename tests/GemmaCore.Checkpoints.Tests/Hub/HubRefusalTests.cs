using System.Text.Json.Nodes;
using GemmaCore.Checkpoints.Hub;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests.Hub;

public sealed class HubRefusalTests : IDisposable
{
    private const string Token = "hf_secretsecretsecret";

    private readonly HubFixture _hub = new();

    public void Dispose() => _hub.Dispose();

    [Theory]
    [InlineData(401, "GatedRepo", null, "{endpoint}/google/medgemma-4b-it", "HF_TOKEN", "accept its terms")]
    [InlineData(403, "GatedRepo", Token, "{endpoint}/google/medgemma-4b-it", "token from HF_TOKEN", "accept its terms")]
    [InlineData(401, "", Token, "token from HF_TOKEN", "{endpoint}/settings/tokens")]
    public async Task No_access_names_the_page_with_the_terms_and_the_token(int status, string code, string? token, params string[] words)
    {
        // The list of files of a gated repository is public; its files are not.
        _hub.Hub.Intercept = call => call.Path.Contains("/resolve/", StringComparison.Ordinal) ? HubReply.Empty(status, $"X-Error-Code: {code}\r\n") : null;
        string complaint = await HubFixture.ComplaintAsync(_hub.Settings(token));
        foreach (string word in (string[])[.. words, status.ToString(System.Globalization.CultureInfo.InvariantCulture)])
            Assert.Contains(word.Replace("{endpoint}", _hub.Hub.Endpoint, StringComparison.Ordinal), complaint, StringComparison.Ordinal);
        Assert.Single(_hub.Hub.FileCalls);
        Assert.Empty(HubFixture.FilesBelow(Path.Combine(_hub.RepositoryFolder, "snapshots")));
    }

    [Fact]
    public async Task An_unknown_revision_or_repository_is_told_apart()
    {
        Assert.Contains("no revision 'v9'", await _hub.ComplaintAsync(new HubRequest(LoopbackHub.Repository) { Revision = "v9" }), StringComparison.Ordinal);
        Assert.Contains("no model repository google/nothing", await _hub.ComplaintAsync(new HubRequest("google/nothing")), StringComparison.Ordinal);
        Assert.Equal("/api/models/google/medgemma-4b-it/revision/v9?blobs=true", _hub.Hub.Calls.First().Path);
    }

    [Fact]
    public async Task A_revision_with_slashes_is_asked_for_in_one_piece()
    {
        await _hub.ComplaintAsync(new HubRequest(LoopbackHub.Repository) { Revision = "refs/pr/1" });
        Assert.Equal("/api/models/google/medgemma-4b-it/revision/refs%2Fpr%2F1?blobs=true", _hub.Hub.Calls.Single().Path);
    }

    [Theory]
    [InlineData(429, "Retry-After: 0\r\n")]
    [InlineData(500, "")]
    [InlineData(503, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n")]
    public async Task A_busy_hub_is_asked_again(int status, string headers)
    {
        var refused = new HashSet<string>();
        // Each request fails twice before it is answered.
        _hub.Hub.Intercept = call => refused.Add(call.Path) || refused.Add(call.Path + " again") ? HubReply.Empty(status, headers) : null;
        await _hub.DownloadAsync();
        _hub.AssertComplete();
    }

    [Fact]
    public async Task The_wait_is_the_one_that_the_hub_asks_for()
    {
        var notes = new List<string>();
        using var cancel = new CancellationTokenSource();
        _hub.Hub.Intercept = _ => HubReply.Empty(429, "Retry-After: 77\r\n");
        using var client = new HubClient(_hub.Settings());
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => client.DownloadAsync(new HubRequest(LoopbackHub.Repository), moment =>
        {
            notes.Add(moment.Note!);
            cancel.Cancel();
        }, cancel.Token));
        Assert.EndsWith("the hub is busy (429); trying again in 77 s", Assert.Single(notes), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_hub_that_stays_broken_is_given_up()
    {
        _hub.Hub.Intercept = _ => HubReply.Empty(502);
        Assert.Contains("failure of its own (502); gave up after 5 attempts", await _hub.ComplaintAsync(), StringComparison.Ordinal);
        Assert.Equal(5, _hub.Hub.Calls.Count);
    }

    [Fact]
    public async Task A_hub_that_cannot_be_reached_is_named()
    {
        _hub.Hub.Dispose();
        string complaint = await _hub.ComplaintAsync();
        Assert.Contains(_hub.Hub.Endpoint + " cannot be reached", complaint, StringComparison.Ordinal);
        Assert.Contains("HF_ENDPOINT", complaint, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("config.json")]
    public async Task Bytes_with_another_checksum_never_get_a_name(string file)
    {
        byte[] wrong = [.. _hub.Hub.Files[file]];
        wrong[^1] ^= 1;
        _hub.Hub.Intercept = call => call.Path.EndsWith(file, StringComparison.Ordinal) ? new HubReply(200, wrong) : null;
        string complaint = await _hub.ComplaintAsync();
        Assert.Contains($"{file} has checksum", complaint, StringComparison.Ordinal);
        Assert.Contains($"expected {_hub.Hub.ETag(file)}", complaint, StringComparison.Ordinal);
        Assert.DoesNotContain(HubFixture.FilesBelow(_hub.RepositoryFolder), path => path.Contains(_hub.Hub.ETag(file), StringComparison.Ordinal) || path.EndsWith(file, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public async Task A_file_of_another_size_than_listed_is_refused(int difference)
    {
        byte[] wrong = new byte[_hub.Hub.Files["config.json"].Length + difference];
        _hub.Hub.Intercept = call => call.Path.EndsWith("config.json", StringComparison.Ordinal) ? new HubReply(200, wrong) : null;
        Assert.Contains("the hub lists config.json with 24 bytes", await _hub.ComplaintAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../outside.txt")]
    [InlineData("/etc/outside.txt")]
    [InlineData("a/../../outside.txt")]
    [InlineData("a\\..\\outside.txt")]
    [InlineData("C:outside.txt")]
    [InlineData("a//b")]
    [InlineData("")]
    [InlineData("a\u0000b")]
    public async Task A_name_that_leads_outside_stops_everything(string name)
    {
        _hub.Hub.ChangeListing = listing => listing["siblings"]![2]!["rfilename"] = name;
        Assert.Contains("would land outside its folder; nothing was downloaded", await _hub.ComplaintAsync(), StringComparison.Ordinal);
        Assert.Empty(_hub.Hub.FileCalls);
        Assert.False(Directory.Exists(_hub.CacheFolder));
    }

    [Theory]
    [InlineData("blobId", "../../../etc/passwd")]
    [InlineData("blobId", "0123")]
    [InlineData("size", -1)]
    public async Task A_listing_with_an_odd_checksum_or_size_is_refused(string key, object value)
    {
        _hub.Hub.ChangeListing = listing => listing["siblings"]![0]![key] = value is int number ? number : (string)value;
        Assert.Contains("not a list of files with sizes and checksums", await _hub.ComplaintAsync(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(_hub.CacheFolder));
    }

    [Theory]
    [InlineData("<html>sign in to this network</html>")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"sha\": \"../..\", \"siblings\": []}")]
    public async Task An_answer_that_is_no_listing_is_refused(string answer)
    {
        _hub.Hub.Intercept = _ => new HubReply(200, System.Text.Encoding.UTF8.GetBytes(answer));
        Assert.Contains("does HF_ENDPOINT name a hub?", await _hub.ComplaintAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_repository_larger_than_the_disk_is_refused_before_anything_comes()
    {
        _hub.Hub.ChangeListing = listing =>
        {
            foreach (JsonNode? entry in listing["siblings"]!.AsArray()) entry!["size"] = long.MaxValue;
        };
        IOException error = await Assert.ThrowsAsync<IOException>(() => _hub.DownloadAsync());
        Assert.Contains("GB are free", error.Message, StringComparison.Ordinal);
        Assert.Empty(_hub.Hub.FileCalls);
        Assert.False(Directory.Exists(_hub.CacheFolder));
    }

    [Theory]
    [InlineData("http://localhost:{port}", false)]
    [InlineData("http://127.0.0.1:{port}", false)]
    [InlineData("", true)]
    public async Task The_token_goes_to_the_hub_and_to_no_other_host(string host, bool expectToken)
    {
        // Another name, or another port, is another host; a path on the hub itself is not.
        using var other = new LoopbackHub(_hub.Hub.Files);
        string target = host.Replace("{port}", new Uri(other.Endpoint).Port.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);
        _hub.Hub.Intercept = call => call.Path.Contains("/resolve/", StringComparison.Ordinal) && !call.Path.Contains("signed", StringComparison.Ordinal)
            ? HubReply.Empty(302, $"Location: {target}{call.Path}?signed=1\r\n")
            : call.Path.EndsWith("?signed=1", StringComparison.Ordinal) ? new HubReply(200, _hub.Hub.Files["config.json"]) : null;
        other.Intercept = call => new HubReply(200, _hub.Hub.Files["config.json"]);
        await HubFixture.DownloadAsync(_hub.Settings(Token), new HubRequest(LoopbackHub.Repository) { Include = ["config.json"] });
        Assert.All(_hub.Hub.Calls, call => Assert.Equal("Bearer " + Token, call.Authorization));
        Assert.All(other.Calls, call => Assert.Null(call.Authorization));
        Assert.Equal(expectToken ? 0 : 1, other.Calls.Count);
        Assert.Equal(expectToken ? 3 : 2, _hub.Hub.Calls.Count);
    }

    [Theory]
    [InlineData("ftp://127.0.0.1/file", "not encrypted")]
    [InlineData("/again", "redirects more than 10 times")]
    public async Task Redirects_that_lead_nowhere_end(string location, string complaint)
    {
        _hub.Hub.Intercept = _ => HubReply.Empty(302, $"Location: {location}\r\n");
        Assert.Contains(complaint, await _hub.ComplaintAsync(), StringComparison.Ordinal);
    }
}
