using GemmaCore.Inputs;
using GemmaCore.Testing.Medical;
using GemmaCore.Training.Datasets;

namespace GemmaCore.Training.Tests.Datasets;

public sealed class ConversationDatasetsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("gemmacore-chat-").FullName;

    public ConversationDatasetsTests() => File.WriteAllBytes(Path.Combine(_folder, "a.png"), [1]);

    private string Write(string text)
    {
        string file = Path.Combine(_folder, "rows.jsonl");
        File.WriteAllText(file, text);
        return file;
    }

    private TrainingExample Messages(string row) => Assert.Single(ConversationDatasets.ReadMessages(Write(row), new RowReport(false)));

    private TrainingExample ShareGpt(string row) => Assert.Single(ConversationDatasets.ReadShareGpt(Write(row), new RowReport(false)));

    [Fact]
    public void The_last_assistant_turn_is_the_answer_and_the_rest_the_prompt()
    {
        TrainingExample row = Messages("""
            {"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}
            """);
        Assert.Equal("d", row.Answer);
        Assert.Equal([ChatRole.System, ChatRole.User, ChatRole.Assistant, ChatRole.User], row.Prompt.Select(message => message.Role));
        Assert.Equal("rows:0", row.Uid);
    }

    [Fact]
    public void Content_parts_hold_text_and_pictures_by_path_or_data()
    {
        TrainingExample row = Messages("""
            {"messages":[{"role":"user","content":[{"type":"image","image":"a.png"},{"type":"text","text":"between"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}}]},{"role":"assistant","content":[{"type":"text","text":"d"}]}]}
            """);
        IReadOnlyList<ContentPart> parts = row.Prompt[0].Content;
        Assert.Equal(Path.Combine(_folder, "a.png"), Assert.IsType<ImagePart>(parts[0]).Image.Path);
        Assert.Equal("between", Assert.IsType<TextPart>(parts[1]).Text);
        Assert.Equal([1, 2, 3], Assert.IsType<ImagePart>(parts[2]).Image.Bytes!.Value.ToArray());
    }

    [Fact]
    public void A_picture_may_name_its_frame_and_window()
    {
        const string row = """{"messages":[{"role":"user","content":[{"type":"image","image":"a.png"%}]},{"role":"assistant","content":"d"}]}""";
        ImageSource image = Assert.IsType<ImagePart>(Assert.Single(Messages(row.Replace("%", ""","frame":3,"window":"lung" """, StringComparison.Ordinal)).Prompt[0].Content)).Image;
        Assert.Equal((3, "lung", " frame 3 window lung"), (image.Frame, image.Window!.Name, image.Choice));
        foreach ((string more, string says) in (ReadOnlySpan<(string, string)>)[(""","frame":0""", "'frame' must be a number from 1"), (""","window":"wide" """, "window 'wide' is unknown"), (""","window":1""", "'window' must be a string")])
            Assert.Contains(says, Assert.Throws<DatasetException>(() => Messages(row.Replace("%", more, StringComparison.Ordinal))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_slide_may_name_its_part_and_magnification()
    {
        const string row = """{"messages":[{"role":"user","content":[{"type":"image","image":"a.png"%}]},{"role":"assistant","content":"d"}]}""";
        ImageSource Read(string more) => Assert.IsType<ImagePart>(Assert.Single(Messages(row.Replace("%", more, StringComparison.Ordinal)).Prompt[0].Content)).Image;
        Assert.Equal(" at 2.5x part 10,20,30,40", Read(""","region":[10, 20, 30, 40],"magnification":2.5""").Choice);
        Assert.Equal(" at 10x part 10,20,30,40", Read(""","region":"10,20,30,40","magnification":"10x" """).Choice);
        foreach ((string more, string says) in (ReadOnlySpan<(string, string)>)[(""","region":[1,2,3]""", "expected x,y,width,height"), (""","region":[0,0,0,5]""", "expected x,y,width,height"), (""","region":5""", "'region' must be a string"), (""","magnification":0""", "expected a number above 0"), (""","magnification":true""", "'magnification' must be a string")])
            Assert.Contains(says, Assert.Throws<DatasetException>(() => Read(more)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_volume_becomes_its_slices_with_numbers()
    {
        const string row = """{"messages":[{"role":"user","content":[{"type":"volume","volume":"v.nii"%},{"type":"text","text":"What?"}]},{"role":"assistant","content":"d"}]}""";
        File.WriteAllBytes(Path.Combine(_folder, "v.nii"), NiftiWriter.File([1, 1, 4], [1, 2, 3, 4]));
        IReadOnlyList<ContentPart> parts = Messages(row.Replace("%", ""","slices":2,"window":"ct" """, StringComparison.Ordinal)).Prompt[0].Content;
        Assert.Equal([" slice 3 window ct", "SLICE 1", " slice 4 window ct", "SLICE 2", "What?"], parts.Select(part => part is ImagePart image ? image.Image.Choice : ((TextPart)part).Text));

        Assert.Contains("'slices' must be", Assert.Throws<DatasetException>(() => Messages(row.Replace("%", ""","slices":0""", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
        File.Delete(Path.Combine(_folder, "v.nii"));
        Assert.Contains("v.nii: not found", Assert.Throws<DatasetException>(() => Messages(row.Replace("%", "", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Share_gpt_turns_take_their_pictures_in_order()
    {
        TrainingExample row = ShareGpt("""
            [{"conversations":[{"from":"human","value":"<image>What is it?"},{"from":"gpt","value":"d"}],"images":["a.png"]}]
            """);
        Assert.Equal("d", row.Answer);
        Assert.IsType<ImagePart>(row.Prompt[0].Content[0]);
        Assert.Equal("What is it?", Assert.IsType<TextPart>(row.Prompt[0].Content[1]).Text);
    }

    [Theory]
    [InlineData("""{"type":"image"}""", ""","images":["a.png"]""")] // TRL
    [InlineData("""{"type":"image","image":null,"text":null}""", ""","images":[{"path":"a.png","bytes":null}]""")] // the same, out of a data set of Hugging Face's
    [InlineData("""{"type":"image","path":"a.png"}""", "")]
    [InlineData("""{"type":"image","url":"a.png"}""", "")]
    [InlineData("""{"type":"image_url","image_url":{"url":"a.png"}}""", ""","images":null""")]
    public void A_picture_is_found_wherever_other_tools_put_it(string part, string columns)
    {
        string row = """{"messages":[{"role":"user","content":[%,{"type":"text","text":"What?","image":null}]},{"role":"assistant","content":"d"}]&}""";
        IReadOnlyList<ContentPart> parts = Messages(row.Replace("%", part, StringComparison.Ordinal).Replace("&", columns, StringComparison.Ordinal)).Prompt[0].Content;
        Assert.Equal(Path.Combine(_folder, "a.png"), Assert.IsType<ImagePart>(parts[0]).Image.Path);
        Assert.Equal("What?", Assert.IsType<TextPart>(parts[1]).Text);
    }

    [Fact]
    public void A_picture_may_be_bare_base64() => Assert.Equal([1, 2, 3], Assert.IsType<ImagePart>(Messages(
        """{"messages":[{"role":"user","content":[{"type":"image","base64":"AQID"}]},{"role":"assistant","content":"d"}]}""").Prompt[0].Content[0]).Image.Bytes!.Value.ToArray());

    [Theory]
    [InlineData("messages", """{"role":"user","content":"<image>\nWhat?"},{"role":"assistant","content":"d"}""", "\"images\":[\"a.png\"]")] // LLaMA-Factory
    [InlineData("conversations", """{"from":"human","value":"<image>\nWhat?"},{"from":"gpt","value":"d"}""", "\"image\":\"a.png\"")] // LLaVA
    [InlineData("conversations", """{"role":"user","content":"<image>\nWhat?"},{"role":"assistant","content":"d"}""", "\"images\":\"a.png\"")]
    public void A_mark_in_the_text_takes_the_next_of_the_row_s_pictures(string key, string turns, string column)
    {
        string row = $"{{\"{key}\":[{turns}],{column}}}";
        IReadOnlyList<ContentPart> parts = (key == "messages" ? Messages(row) : ShareGpt(row)).Prompt[0].Content;
        Assert.Equal(Path.Combine(_folder, "a.png"), Assert.IsType<ImagePart>(parts[0]).Image.Path);
        Assert.Equal("\nWhat?", Assert.IsType<TextPart>(parts[1]).Text);
    }

    [Fact]
    public void Without_pictures_in_the_row_a_mark_is_text() =>
        Assert.Equal("<image>", Assert.IsType<TextPart>(Messages("""{"messages":[{"role":"user","content":"<image>"},{"role":"assistant","content":"d"}]}""").Prompt[0].Content[0]).Text);

    [Fact]
    public void A_system_column_opens_the_conversation_unless_a_turn_does()
    {
        TrainingExample row = ShareGpt("""{"system":"s","tools":"[]","conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"d"}]}""");
        Assert.Equal([ChatRole.System, ChatRole.User], row.Prompt.Select(message => message.Role));
        Assert.Equal("s", Assert.IsType<TextPart>(row.Prompt[0].Content[0]).Text);
        row = ShareGpt("""{"system":"s","conversations":[{"from":"system","value":"t"},{"from":"human","value":"a"},{"from":"gpt","value":"d"}]}""");
        Assert.Equal("t", Assert.IsType<TextPart>(row.Prompt[0].Content[0]).Text);
        Assert.Equal(2, row.Prompt.Count);
    }

    [Theory]
    [InlineData("""{"conversations":[{"from":"human","value":"<image><image>"},{"from":"gpt","value":"d"}],"images":["a.png"]}""", "more <image> than images")]
    [InlineData("""{"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"d"}],"images":["a.png"]}""", "1 images have no <image>")]
    [InlineData("""{"conversations":[{"from":"robot","value":"x"},{"from":"gpt","value":"d"}]}""", "speaker 'robot' is unknown")]
    [InlineData("""{"conversations":[{"from":"human","value":"x"}]}""", "the last turn must be the assistant's")]
    [InlineData("""{"conversation":[]}""", "no 'conversations' list")]
    [InlineData("""{"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"<image>"}],"image":"a.png"}""", "the answer holds an image")]
    [InlineData("""{"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"d"}],"tools":"[{}]"}""", "'tools': conversations with tools")]
    public void Bad_share_gpt_rows_are_named(string row, string problem) => Assert.Contains(
        problem, Assert.Throws<DatasetException>(() => ConversationDatasets.ReadShareGpt(Write(row), new RowReport(false))).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"messages":3}""", "no 'messages' list")]
    [InlineData("""[1""", "not valid JSON")]
    [InlineData("""{"messages":[{"role":"user","content":"x"},{"role":"tool","content":"y"}]}""", "role 'tool' is unknown")]
    [InlineData("""{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":""}]}""", "the answer is empty")]
    [InlineData("""{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","tool_calls":[{}]}]}""", "'tool_calls': conversations with tools")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image"}]},{"role":"assistant","content":"y"}]}""", "type 'image' is unknown or incomplete")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image"}]},{"role":"assistant","content":"y"}],"images":[]}""", "more <image> than images")]
    [InlineData("""{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}],"images":["a.png"]}""", "1 images have no <image>")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"audio"}]},{"role":"assistant","content":"y"}]}""", "type 'audio'")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image","image":"no.png"}]},{"role":"assistant","content":"y"}]}""", "image 'no.png' not found")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image","image":"https://x/y.png"}]},{"role":"assistant","content":"y"}]}""", "pictures are not fetched")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image","image":"data:image/png;base64,%%"}]},{"role":"assistant","content":"y"}]}""", "base64")]
    [InlineData("""{"messages":[{"role":"user","content":"\ud800"},{"role":"assistant","content":"y"}]}""", "not valid Unicode")]
    public void Bad_message_rows_are_named(string row, string problem) => Assert.Contains(
        problem, Assert.Throws<DatasetException>(() => ConversationDatasets.ReadMessages(Write(row), new RowReport(false))).Message, StringComparison.Ordinal);

    [Fact]
    public void Bad_rows_are_listed_by_line_and_left_out()
    {
        const string Good = """{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}""";
        var report = new RowReport(Skip: true);
        string file = Write($"{Good}\r\n\r\nnot json\r\n{Good}\n");
        IReadOnlyList<TrainingExample> rows = ConversationDatasets.ReadMessages(file, report);
        Assert.Equal(["rows:0", "rows:2"], rows.Select(row => row.Uid));
        Assert.StartsWith($"{file}: line 3: ", Assert.Single(report.Skipped), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("[]")]
    public void An_empty_data_set_is_an_error(string text) => Assert.Contains(
        "no usable rows", Assert.Throws<DatasetException>(() => ConversationDatasets.ReadMessages(Write(text), new RowReport(false))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_missing_file_is_an_error() =>
        Assert.Contains("not found", Assert.Throws<DatasetException>(() => ConversationDatasets.ReadMessages(Path.Combine(_folder, "no.jsonl"), new RowReport(false))).Message, StringComparison.Ordinal);

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
