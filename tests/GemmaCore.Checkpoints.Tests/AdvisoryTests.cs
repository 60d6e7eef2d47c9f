using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using GemmaCore.Checkpoints.Tests.Hub;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Checkpoints.Tests;

/// <summary>Classes of security advisories that peers had, where files are read and fetched; those of requests are in <c>GemmaCore.Server.Tests</c>.</summary>
public sealed class AdvisoryTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly CpuDevice _device = new(1);

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    // CVE-2024-21802 and its set, CVE-2025-53630, CVE-2026-27940: sizes whose product wraps around. CVE-2026-7482: a tensor that lies beyond the end, so that memory
    // behind the file was given out.
    [Theory]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,16]}}")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905,4],\"data_offsets\":[0,16]}}")]
    [InlineData("{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387908],\"data_offsets\":[0,16]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[9223372036854775807],\"data_offsets\":[0,9223372036854775807]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[18446744073709551600,0]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[-16],\"data_offsets\":[16,0]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[17],\"data_offsets\":[0,17]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[9223372036854775791,9223372036854775807]}}")]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]}}", 1)]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]}}", long.MaxValue)]
    [InlineData("{\"w\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]}}", -1)]
    public void Model_file_parser_overflow(string header, long claimsMore = 0)
    {
        byte[] text = Encoding.UTF8.GetBytes(header), file = [.. new byte[8], .. text, .. new byte[16]];
        BinaryPrimitives.WriteInt64LittleEndian(file, unchecked(text.Length + claimsMore));
        File.WriteAllBytes(_folder.File("model.safetensors"), file);
        var error = Assert.Throws<CheckpointException>(() => CheckpointFolder.Open(_folder.Path, _device));
        Assert.Contains("model.safetensors", error.Message, StringComparison.Ordinal);
    }

    // Pickled checkpoints run whatever they hold; what these hold would make a file. Neither alone nor beside sound weights are they opened.
    [Fact]
    public void Unsafe_deserialisation()
    {
        string marker = _folder.File("it-ran"), adapter = _folder.File("adapter");
        Directory.CreateDirectory(adapter);
        byte[] pickle = Encoding.ASCII.GetBytes($"cos\nsystem\n(S'touch {marker}'\ntR.");
        foreach (string name in (string[])["pytorch_model.bin", "adapter/adapter_model.bin"]) File.WriteAllBytes(_folder.File(name), pickle);
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), "{\"r\":2}");
        Assert.Contains("pytorch_model.bin is a Python pickle and is not read", Assert.Throws<CheckpointException>(() => CheckpointFolder.Open(_folder.Path, _device)).Message, StringComparison.Ordinal);
        Assert.Contains("adapter_model.bin is a Python pickle and is not read", Assert.Throws<CheckpointException>(() => AdapterFile.Load(adapter, _device)).Message, StringComparison.Ordinal);

        // By its name alone a pickle does not become weights either.
        File.WriteAllBytes(_folder.File("model.safetensors"), pickle);
        Assert.Throws<CheckpointException>(() => CheckpointFolder.Open(_folder.Path, _device));
        SafetensorsWriter.WriteCheckpoint(_folder.Path, [new WritableTensor("w", DType.F32, new Shape(1), stream => stream.Write(new byte[4]))]);
        using CheckpointFolder sound = CheckpointFolder.Open(_folder.Path, _device);
        Assert.Single(sound.Names);
        Assert.False(File.Exists(marker));
    }

    // CVE-2026-42248, -42249: an updater that took what it was sent. There is none here. Weights that somebody exchanges on the way never get a name, and a name
    // that was good stays as it was;
    [Fact]
    public async Task Updater_and_supply_chain_weights()
    {
        using var hub = new HubFixture();
        await hub.DownloadAsync();
        byte[] exchanged = [.. hub.Hub.Files[HubFixture.Weights]];
        exchanged[100] ^= 1;
        File.Delete(hub.Blob(HubFixture.Weights));
        hub.Hub.Intercept = call => call.Path.EndsWith(HubFixture.Weights, StringComparison.Ordinal) ? new HubReply(200, exchanged) : null;
        Assert.Contains("has checksum", await hub.ComplaintAsync(), StringComparison.Ordinal);
        Assert.False(File.Exists(hub.Blob(HubFixture.Weights)));
        hub.Hub.Intercept = _ => null;
        await hub.DownloadAsync();
        hub.AssertComplete();
    }

    // and every package that the program is built from is held to the hash of its contents (tools/check.sh restores in locked mode).
    [Fact]
    public void Updater_and_supply_chain_packages()
    {
        string[] projects = [.. File.ReadLines(Goldens.RepositoryPath("GemmaCore.sln")).Select(line => line.Split('"')).SelectMany(parts => parts.Where(part => part.EndsWith(".csproj", StringComparison.Ordinal)))];
        Assert.True(projects.Length > 20, $"{projects.Length} projects");
        Assert.Contains("--locked-mode", File.ReadAllText(Goldens.RepositoryPath("tools/check.sh")), StringComparison.Ordinal);
        foreach (string project in projects)
        {
            string folder = Path.GetDirectoryName(Goldens.RepositoryPath(project.Replace('\\', Path.DirectorySeparatorChar)))!;
            using JsonDocument locked = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "packages.lock.json")));
            foreach (JsonProperty framework in locked.RootElement.GetProperty("dependencies").EnumerateObject())
                foreach (JsonProperty package in framework.Value.EnumerateObject())
                    if (package.Value.GetProperty("type").GetString() != "Project")
                        Assert.True(package.Value.TryGetProperty("contentHash", out JsonElement hash) && hash.GetString()!.Length == 88, $"{project}: {package.Name} has no hash of 512 bits");
        }
    }
}
