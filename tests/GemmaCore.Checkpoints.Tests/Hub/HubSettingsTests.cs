using CsCheck;
using GemmaCore.Checkpoints.Hub;

namespace GemmaCore.Checkpoints.Tests.Hub;

public sealed class HubSettingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("HF_HUB_CACHE=/cache HF_HOME=/home", "/cache")]
    [InlineData("HF_HOME=/home XDG_CACHE_HOME=/xdg", "/home/hub")]
    [InlineData("XDG_CACHE_HOME=/xdg", "/xdg/huggingface/hub")]
    [InlineData("", "{user}/.cache/huggingface/hub")]
    [InlineData("HF_HOME=~/models", "{user}/models/hub")]
    [InlineData("HF_HOME=~", "{user}/hub")]
    public void The_cache_is_where_the_python_tools_have_it(string variables, string expected)
    {
        string user = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        Assert.Equal(expected.Replace("{user}", user, StringComparison.Ordinal), HubSettings.FindCache(Variables(variables)));
    }

    [Fact]
    public void The_token_comes_from_flag_variable_or_file_in_this_order()
    {
        File.WriteAllText(_folder.File("token"), "hf_file\n");
        string home = "HF_HOME=" + _folder.Path;
        Assert.Equal(("hf_flag", "--token"), TokenOf(HubSettings.FromEnvironment(Variables(home + " HF_TOKEN=hf_variable"), "hf_flag")));
        Assert.Equal(("hf_variable", "HF_TOKEN"), TokenOf(HubSettings.FromEnvironment(Variables(home + " HF_TOKEN=hf_variable"))));
        Assert.Equal(("hf_file", _folder.File("token")), TokenOf(HubSettings.FromEnvironment(Variables(home))));
        Assert.Equal((null, null), TokenOf(HubSettings.FromEnvironment(Variables("HF_HOME=/nowhere"))));
        Assert.Equal(("hf_file", _folder.File("token")), TokenOf(HubSettings.FromEnvironment(Variables("HF_TOKEN_PATH=" + _folder.File("token")))));
    }

    [Theory]
    [InlineData("hf_a b")]
    [InlineData("hf_a\nX-Header: b")]
    [InlineData("hf_é")]
    [InlineData("")]
    public void A_token_that_cannot_stand_in_a_header_is_refused_and_not_repeated(string token)
    {
        string message = Assert.Throws<CheckpointException>(() => HubSettings.FromEnvironment(Variables(""), token)).Message;
        Assert.Contains("--token", message, StringComparison.Ordinal);
        if (token.Length > 0) Assert.DoesNotContain(token, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1", true)]
    [InlineData("on", true)]
    [InlineData("True", true)]
    [InlineData("0", false)]
    [InlineData("", false)]
    public void Offline_is_a_switch(string value, bool expected) =>
        Assert.Equal(expected, HubSettings.FromEnvironment(Variables("HF_HOME=/nowhere HF_HUB_OFFLINE=" + value)).Offline);

    [Theory]
    [InlineData("hub.example")]
    [InlineData("ftp://hub.example")]
    [InlineData("https://hub.example/?key=1")]
    public void An_endpoint_that_is_no_web_address_is_refused(string endpoint) =>
        Assert.Contains(endpoint, Assert.Throws<CheckpointException>(() => HubSettings.FromEnvironment(Variables("HF_ENDPOINT=" + endpoint))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("google/medgemma-4b-it", true)]
    [InlineData("gpt2", true)]
    [InlineData("google/medgemma--4b", false)]
    [InlineData("google/../secret", false)]
    [InlineData("../secret", false)]
    [InlineData("google/medgemma/4b", false)]
    [InlineData("google/", false)]
    [InlineData("google/medgemma\n", false)]
    [InlineData("göögle/medgemma", false)]
    [InlineData("", false)]
    public void A_repository_has_the_hubs_alphabet(string text, bool expected) => Assert.Equal(expected, HubName.IsRepository(text));

    [Fact]
    public void A_path_that_passes_stays_below_its_folder() => Gen.Char["a./\\:\0é "].Array[0, 9].Sample(letters =>
    {
        string text = new(letters);
        if (!HubName.IsRelativePath(text)) return;
        string root = _folder.Path, full = Path.GetFullPath(Path.Combine(root, text));
        Assert.StartsWith(root + Path.DirectorySeparatorChar, full, StringComparison.Ordinal);
        Assert.Equal(text, Path.GetRelativePath(root, full));
    });

    private static (string? Token, string? Source) TokenOf(HubSettings settings) => (settings.Token, settings.TokenSource);

    private static Func<string, string?> Variables(string text)
    {
        Dictionary<string, string> values = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        return name => values.GetValueOrDefault(name);
    }
}
