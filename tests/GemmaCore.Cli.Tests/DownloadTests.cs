using System.Globalization;
using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary><c>gemmacore download</c> from a hub on this machine that holds the embedded model, and what the other verbs make of the cache.</summary>
public sealed class DownloadTests : IDisposable
{
    private const string Token = "hf_secretsecretsecret";

    private static readonly Dictionary<string, byte[]> Model = Directory.EnumerateFiles(Goldens.DemoPath("model"))
        .ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);

    private readonly TemporaryFolder _folder = new();
    private readonly LoopbackHub _hub = new(Model);

    private string Snapshot => _folder.File($"hub/models--google--medgemma-4b-it/snapshots/{LoopbackHub.Commit}");

    public void Dispose()
    {
        _hub.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_downloaded_model_is_found_by_its_hub_id_by_verbs_and_by_a_second_download_without_network()
    {
        Finished first = Run([], "download", LoopbackHub.Repository, "--json", "--token", Token).Expect(0);
        JsonObject report = JsonNode.Parse(first.Output)!.AsObject();
        Assert.Equal(["repository", "revision", "commit", "folder", "files", "bytes", "received_bytes"], report.Select(field => field.Key));
        Assert.Equal(Snapshot, report["folder"]!.GetValue<string>());
        Assert.Equal(Model.Values.Sum(bytes => (long)bytes.Length), report["received_bytes"]!.GetValue<long>());
        foreach (string file in Model.Keys) Assert.Contains($"] {file} ", first.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(Token, first.Output + first.Error, StringComparison.Ordinal);
        Assert.All(_hub.Calls, call => Assert.Equal("Bearer " + Token, call.Authorization));

        int calls = _hub.Calls.Count;
        string[] offline = ["HF_HUB_OFFLINE=1"];
        Assert.Equal(Snapshot + "\n", Run(offline, "download", LoopbackHub.Repository).Expect(0).Output);
        Assert.Contains(Snapshot, Run(offline, "info", LoopbackHub.Repository).Expect(0).Output, StringComparison.Ordinal);
        string[] question = ["--prompt", "Hello", "--max-tokens", "2", "--temperature", "0"];
        Assert.Equal(Run([], ["generate", "demo", .. question]).Expect(0).Output, Run(offline, ["generate", LoopbackHub.Repository, .. question]).Expect(0).Output);
        Assert.Equal(calls, _hub.Calls.Count);
    }

    [Fact]
    public void Two_processes_downloading_the_same_repository_share_the_work()
    {
        using GemmacoreProcess one = Start([], "download", LoopbackHub.Repository), other = Start([], "download", LoopbackHub.Repository);
        Assert.Equal(Snapshot + "\n", one.WaitForEnd().Expect(0).Output);
        Assert.Equal(Snapshot + "\n", other.WaitForEnd().Expect(0).Output);
        Assert.Equal(Model.Keys.Order(StringComparer.Ordinal), _hub.FileCalls.Order(StringComparer.Ordinal));
        foreach ((string file, byte[] bytes) in Model) Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(Snapshot, file)));
    }

    [Fact]
    public void A_killed_download_leaves_nothing_under_its_name_and_the_next_one_goes_on()
    {
        var gate = new TaskCompletionSource();
        byte[] shard = Model[DamagedModel.FirstShard];
        // The first half comes, then silence: the process is killed in the middle of a file.
        _hub.Intercept = call => IsShard(call) && call.Start is null
            ? new HubReply(200, shard[..(shard.Length / 2)]) { Declared = shard.Length, SilentAfter = gate.Task }
            : null;
        using (GemmacoreProcess process = Start([], "download", LoopbackHub.Repository))
        {
            string incomplete = _folder.File($"hub/models--google--medgemma-4b-it/blobs/{_hub.ETag(DamagedModel.FirstShard)}.incomplete");
            Assert.True(SpinWait.SpinUntil(() => File.Exists(incomplete) && new FileInfo(incomplete).Length == shard.Length / 2, TimeSpan.FromMinutes(1)));
            Assert.True(process.Kill());
        }

        gate.SetResult();
        Assert.False(File.Exists(Path.Combine(Snapshot, DamagedModel.FirstShard)));
        Assert.Contains("fetch it first: gemmacore download google/medgemma-4b-it", Run([], "info", LoopbackHub.Repository).Expect(2).Error, StringComparison.Ordinal);
        Run([], "download", LoopbackHub.Repository).Expect(0);
        Assert.Equal([null, shard.Length / 2], _hub.Calls.Where(IsShard).Select(call => call.Start));
        Assert.Equal(shard, File.ReadAllBytes(Path.Combine(Snapshot, DamagedModel.FirstShard)));
    }

    // As in BadInputTests: the limit on the size of a file stands for the full disk.
    [Fact]
    public void A_full_disk_is_told_and_what_has_come_is_kept()
    {
        const int kilobytes = 100;
        string limits = string.Create(CultureInfo.InvariantCulture,
            $"trap '' XFSZ; ulimit -f {kilobytes}; export DOTNET_EnableWriteXorExecute=0; exec \"$0\" exec \"$1\" download {LoopbackHub.Repository} --include '*.safetensors'");
        using GemmacoreProcess process = GemmacoreProcess.Launch(
            _folder.Path, "env", [.. Surroundings, "bash", "-c", limits, GemmacoreProcess.Host, GemmacoreProcess.Program]);
        string complaint = Assert.Single(process.WaitForEnd().Expect(1).Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("gemmacore: ", complaint, StringComparison.Ordinal);
        Assert.Contains("could not be written", complaint, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Snapshot));
        Run([], "download", LoopbackHub.Repository, "--include", "*.safetensors").Expect(0);
        Assert.Equal(kilobytes * 1024, _hub.Calls.First(call => call.Start is not null).Start);
    }

    [Theory]
    [InlineData(1, "accept its terms on ", "download", "google/medgemma-4b-it", "--include", "gated")]
    [InlineData(1, "has no revision 'v9'", "download", "google/medgemma-4b-it", "--revision", "v9")]
    [InlineData(2, "expected ORG/NAME", "download", "../../etc")]
    [InlineData(2, "did you mean '--revision'?", "download", "google/medgemma-4b-it", "--revison", "v9")]
    [InlineData(2, "neither a folder nor in the hub cache", "info", "google/medgemma-4b-it")]
    [InlineData(2, "REPO", "download")]
    public void A_failure_is_one_line_and_a_document(int exitCode, string complaint, params string[] arguments)
    {
        if (arguments.Contains("gated")) _hub.Intercept = _ => HubReply.Empty(401, "X-Error-Code: GatedRepo\r\n");
        Finished finished = Run([], [.. arguments, "--json"]).Expect(exitCode);
        string line = Assert.Single(finished.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("gemmacore: ", line, StringComparison.Ordinal);
        Assert.Contains(complaint, line, StringComparison.Ordinal);
        Assert.Equal(line, "gemmacore: " + JsonNode.Parse(finished.Output)!["error"]!.GetValue<string>());
    }

    [Fact]
    public void The_doctor_names_where_the_token_comes_from_and_not_the_token()
    {
        Finished finished = Run(["HF_TOKEN=" + Token], "doctor").Expect(0);
        Assert.Contains("token from HF_TOKEN", finished.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Token, finished.Output + finished.Error, StringComparison.Ordinal);
        Assert.Contains("HF_ENDPOINT is 'nonsense'", Run(["HF_ENDPOINT=nonsense"], "doctor").Expect(0).Output, StringComparison.Ordinal);
    }

    private static bool IsShard(HubCall call) => call.Path.EndsWith(DamagedModel.FirstShard, StringComparison.Ordinal);

    private string[] Surroundings => ["HF_ENDPOINT=" + _hub.Endpoint, "HF_HOME=" + _folder.Path, "HF_HUB_CACHE=", "HF_TOKEN=", "HF_HUB_OFFLINE="];

    private GemmacoreProcess Start(string[] variables, params string[] arguments) => GemmacoreProcess.StartWith([.. Surroundings, .. variables], arguments);

    private Finished Run(string[] variables, params string[] arguments)
    {
        using GemmacoreProcess process = Start(variables, arguments);
        return process.WaitForEnd();
    }
}
